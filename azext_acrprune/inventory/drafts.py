"""A repository while it is being read: its listings, and what they do not show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..decide.depth import DEEPEST, within_depth
from ..decide.manifests import read_manifest
from ..decide.replicas import merged_locks, merged_manifests, merged_tags
from ..decide.wholeness import Counted, unlisted, unseen, with_all_tags
from ..model import Content, Ghost, Manifest, Repository, Tag, Unreadable
from ..registry.protocol.listings import RepositoryFacts, listed_manifests, listed_tags
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads

_LOOKS = 2
"""How often a repository is listed where its listings do not agree with what it says of itself."""


@dataclass
class Draft:
    """A repository while it is being read.

    `tag_listing` is None where it was not asked for. `asked` are the digests that something names and that were not
    listed, as far as the registry was asked for them; `hidden` are those of them that are there. `views` are what each
    replica shows, where several were asked: the rest is the union of it. `rounds` counts how often something was asked
    for that was found by what was asked for before. A `cached` one is behind a cache
    rule.
    """

    name: str
    manifests: dict[str, Manifest] = field(default_factory=dict)
    facts: RepositoryFacts = RepositoryFacts()
    tag_listing: dict[str, Tag] | None = None
    asked: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    views: list[Draft] = field(default_factory=list)
    failure: RegistryError | None = None
    gone: bool = False
    late: bool = False
    rounds: int = 0
    cached: bool = False

    @property
    def known(self) -> bool:
        """Whether the repository was read as a whole; it may be empty."""
        return not (self.failure or self.gone or self.late or self.is_silent)

    @property
    def tags(self) -> dict[str, Tag]:
        return self.tag_listing or {}

    @property
    def unseen(self) -> str | None:
        """A sentence on what the listings lack by the repository's own counts; None when they agree.

        Each replica is compared with what it says itself.
        """
        if self.is_too_deep:
            return f'what is hidden in it is nested more than {DEEPEST} deep'
        if self.views:
            return next(filter(None, (self._of_view(view).unseen for view in self.views)), None)
        hidden = frozenset(self.hidden)
        return unseen(self.manifests, Counted(self.facts.manifests, self.facts.tags, self.tag_listing, hidden))

    def _of_view(self, view: Draft) -> Draft:
        """What one replica shows, with the contents that are known by now."""
        known = {
            digest: manifest.having(self.manifests.get(digest, manifest).content)
            for digest, manifest in view.manifests.items()
        }
        return replace(view, manifests=known)

    @property
    def is_silent(self) -> bool:
        """Whether it is there and neither lists a manifest nor says that it has none.

        A repository goes with its last manifest: one without any was not seen as a whole.
        """
        if self.views:
            return any(view.is_silent for view in self.views)
        return not (self.manifests or self.failure or self.gone or self.late) and self.facts.manifests is None

    @property
    def is_too_deep(self) -> bool:
        """Whether what is hidden led on and on, and was followed no further."""
        return self.rounds > DEEPEST

    def unlisted(self) -> list[str]:
        """The digests that something names, that were not listed, and that nobody asked for; at last none."""
        found = sorted(unlisted(self.manifests, self.tags.values()) - self.asked)
        self.rounds += bool(found)
        return [] if self.is_too_deep else found

    @cached_property
    def tags_on(self) -> Mapping[str, list[Tag]]:
        """The tags of the tag listing, once it is complete, by digest."""
        found: dict[str, list[Tag]] = {}
        for tag in self.tags.values():
            found.setdefault(tag.digest, []).append(tag)
        return found

    def finished(self) -> Repository:
        manifests = within_depth(dict(sorted(self.manifests.items())))
        hidden = frozenset(self.hidden)
        return Repository(self.name, manifests, self.facts.locks, self.tags, self.unseen, hidden, self.cached)


async def list_repository(
    registry: Reads, draft: Draft, wants_tags: Callable[[Draft], bool], patient: bool = True
) -> None:
    """List the manifests of a repository, and its tags where they are wanted. Raises RegistryError.

    Where the registry has several replicas that can be asked, each is, and the draft has the union of their answers.
    Who is not `patient` asks once more after a failure, and no more.
    """
    if len(registry.replicas) == 1:
        await _list(registry.replicas[0], draft, wants_tags, patient)
        return
    draft.views = [await _view(replica, draft.name, wants_tags, patient) for replica in registry.replicas]
    if all(view.gone for view in draft.views):
        raise RegistryError(Kind.NOT_FOUND, 'the repository is in no region')
    if any(view.tag_listing is not None for view in draft.views):
        for replica, view in zip(registry.replicas, draft.views):
            if view.tag_listing is None and not view.gone:
                await _list_tags(replica, view, patient)
    _merge(draft)


def _merge(draft: Draft) -> None:
    """Make a draft the union of its views."""
    listings = [view.tag_listing for view in draft.views if view.tag_listing is not None]
    draft.manifests = merged_manifests([view.manifests for view in draft.views])
    draft.tag_listing = merged_tags([view.tags for view in draft.views]) if listings else None
    counts = [view.facts.manifests for view in draft.views if view.facts.manifests is not None]
    draft.facts = RepositoryFacts(merged_locks(view.facts.locks for view in draft.views), max(counts, default=None))


async def _view(replica: Reads, name: str, wants_tags: Callable[[Draft], bool], patient: bool) -> Draft:
    """What one replica shows of a repository, which may be in others alone."""
    view = Draft(name)
    try:
        await _list(replica, view, wants_tags, patient)
    except RegistryError as error:
        if error.kind is not Kind.NOT_FOUND:
            raise
        view = Draft(name, gone=True)
    return view


async def _list(replica: Reads, draft: Draft, wants_tags: Callable[[Draft], bool], patient: bool) -> None:
    """List one repository as one replica has it.

    Where the listings do not agree with what the repository says of itself, somebody may just have pushed or deleted
    something: it is listed once more.
    """
    for _ in range(_LOOKS):
        draft.manifests = listed_manifests([page async for page in replica.manifests(draft.name, patient)])
        draft.facts = await replica.repository_facts(draft.name, patient)  # after the listing: a lock may be new
        draft.tag_listing = None
        if wants_tags(draft) or draft.facts.tags not in (None, _tags_named(draft)):
            await _list_tags(replica, draft, patient)
        if draft.unseen is None:
            return


async def _list_tags(replica: Reads, draft: Draft, patient: bool) -> None:
    draft.tag_listing = listed_tags([page async for page in replica.tags(draft.name, patient)])
    draft.manifests = with_all_tags(draft.manifests, draft.tags.values())


async def look_up(registry: Reads, draft: Draft, digest: str) -> bool:
    """Ask for a digest that something names and that was not listed; gives whether it is there. Raises RegistryError.

    It asks the metadata API and pulls nothing: in a repository with a cache rule, a pull would import the image.
    """
    draft.asked.add(digest)
    views = draft.views or [draft]
    found = [await _look_up(replica, view, digest) for replica, view in zip(registry.replicas, views)]
    if not any(found):
        return False
    draft.hidden.add(digest)
    if draft.views:
        copies = [{digest: manifest} if manifest else {} for manifest in found]
        draft.manifests[digest] = merged_manifests(copies)[digest]
    draft.manifests.update(with_all_tags({digest: draft.manifests[digest]}, draft.tags_on.get(digest, ())))
    return True


async def _look_up(replica: Reads, view: Draft, digest: str) -> Manifest | None:
    """Ask one replica for a digest, and put it into what that replica shows."""
    try:
        found = await replica.manifest_properties(view.name, digest)
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return None
        raise
    view.manifests[digest] = found
    view.hidden.add(digest)
    return found


async def read(registry: Reads, repository: str, digest: str, patient: bool = True) -> Content | Ghost | Unreadable:
    """The content of one manifest, from whichever replica has it.

    Raises RegistryError when the identity may not read the repository, the registry cannot be reached, or the time
    is over.
    """
    found: Content | Ghost | Unreadable = Ghost()
    for replica in registry.replicas:
        content = await _read(replica, repository, digest, patient)
        if isinstance(content, Content):
            return content
        if isinstance(content, Unreadable):
            found = content
    return found


async def _read(replica: Reads, repository: str, digest: str, patient: bool) -> Content | Ghost | Unreadable:
    try:
        return read_manifest(digest, await replica.manifest(repository, digest, patient))
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return Ghost()
        if error.status == 401 or error.kind in (Kind.UNREACHABLE, Kind.OUT_OF_TIME):
            raise
        return Unreadable(str(error))


def _tags_named(draft: Draft) -> int:
    """How many tags the manifest listing names."""
    return len({tag for manifest in draft.manifests.values() for tag in manifest.tags})
