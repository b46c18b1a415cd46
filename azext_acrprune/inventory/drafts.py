"""A repository while it is being read: its listings, and what they do not show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..decide.manifests import read_manifest
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
    listed, as far as the registry was asked for them; `hidden` are those of them that are there.
    """

    name: str
    manifests: dict[str, Manifest] = field(default_factory=dict)
    facts: RepositoryFacts = RepositoryFacts()
    tag_listing: dict[str, Tag] | None = None
    asked: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    failure: RegistryError | None = None
    gone: bool = False
    late: bool = False

    @property
    def known(self) -> bool:
        """Whether the repository was read as a whole and is not empty."""
        return bool(self.manifests or self.facts.manifests) and not (self.failure or self.gone or self.late)

    @property
    def tags(self) -> dict[str, Tag]:
        return self.tag_listing or {}

    @property
    def unseen(self) -> str | None:
        """A sentence on what the listings lack by the repository's own counts; None when they agree."""
        hidden = frozenset(self.hidden)
        return unseen(self.manifests, Counted(self.facts.manifests, self.facts.tags, self.tag_listing, hidden))

    @property
    def is_silent(self) -> bool:
        """Whether it is there and neither lists a manifest nor says that it has none.

        A repository goes with its last manifest: one without any was not seen as a whole.
        """
        return not (self.manifests or self.failure or self.gone or self.late) and self.facts.manifests is None

    def unlisted(self) -> list[str]:
        """The digests that something names, that were not listed, and that nobody asked for."""
        return sorted(unlisted(self.manifests, self.tags.values()) - self.asked)

    def finished(self) -> Repository:
        manifests = dict(sorted(self.manifests.items()))
        return Repository(self.name, manifests, self.facts.locks, self.tags, self.unseen, frozenset(self.hidden))


async def list_repository(registry: Reads, draft: Draft, wants_tags: Callable[[Draft], bool]) -> None:
    """List the manifests of a repository, and its tags where they are wanted. Raises RegistryError.

    Where the listings do not agree with what the repository says of itself, somebody may just have pushed or deleted
    something: it is listed once more.
    """
    for _ in range(_LOOKS):
        draft.manifests = listed_manifests([page async for page in registry.manifests(draft.name)])
        draft.facts = await registry.repository_facts(draft.name)  # after the listing: a lock may be new
        draft.tag_listing = None
        if wants_tags(draft) or draft.facts.tags not in (None, _tags_named(draft)):
            draft.tag_listing = listed_tags([page async for page in registry.tags(draft.name)])
            draft.manifests = with_all_tags(draft.manifests, draft.tags.values())
        if draft.unseen is None:
            return


async def look_up(registry: Reads, draft: Draft, digest: str) -> bool:
    """Ask for a digest that something names and that was not listed; gives whether it is there. Raises RegistryError.

    It asks the metadata API and pulls nothing: in a repository with a cache rule, a pull would import the image.
    """
    draft.asked.add(digest)
    try:
        draft.manifests[digest] = await registry.manifest_properties(draft.name, digest)
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return False
        raise
    draft.hidden.add(digest)
    draft.manifests = with_all_tags(draft.manifests, draft.tags.values())
    return True


async def read(registry: Reads, repository: str, digest: str) -> Content | Ghost | Unreadable:
    """The content of one manifest.

    Raises RegistryError when the identity may not read the repository, the registry cannot be reached, or the time
    is over.
    """
    try:
        return read_manifest(digest, await registry.manifest(repository, digest))
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return Ghost()
        if error.status == 401 or error.kind in (Kind.UNREACHABLE, Kind.OUT_OF_TIME):
            raise
        return Unreadable(str(error))


def _tags_named(draft: Draft) -> int:
    """How many tags the manifest listing names."""
    return len({tag for manifest in draft.manifests.values() for tag in manifest.tags})
