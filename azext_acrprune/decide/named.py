"""Decisions about images, tags and repositories that the user names. All other repositories only keep their bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from ..model import Content, Inventory, Manifest, Repository, Tag, in_order
from ..pins.pinned import Pins
from ..policy.patterns import refuse_host
from .bonds import falling, kept_by, opaque
from .decision import Decision
from .graph import Graph, build_graph, user_tags, walk
from .name_errors import Locked, NotAnImage, NotWhole, Pinned, Young
from .reasons import EXCLUDED, LOCKED, NAMED, PINNED, TAGGED, UNREADABLE, YOUNG
from .verdicts import Verdict, lock_on, lock_on_tag, locks_of, name_of_locked

_SHORT_DIGEST = re.compile(r'(?:sha256:)?(?P<digits>[0-9a-f]{1,64})\Z')
_CANDIDATES = 5


@dataclass(frozen=True)
class ImageName:
    """An image by tag or by digest. `text` is what the user wrote; the digest may be the beginning of one."""

    text: str
    repository: str
    tag: str | None = None
    digest: str | None = None


Unsettled = Callable[[Manifest | Tag], str | None]
"""Why a manifest or tag is too young to go, where another replica may know more of it."""


def settled(_: Manifest | Tag) -> None:
    """There is no other replica, so that nothing is too young."""


def too_young(repository: Repository, digest: str, unsettled: Unsettled) -> str | None:
    """Why a manifest is too young to go, by its own times or by those of a tag of it."""
    manifest = repository.manifests[digest]
    tags = [repository.tags[tag] for tag in manifest.tags if tag in repository.tags]
    return unsettled(manifest) or next((why for why in map(unsettled, tags) if why), None)


def parse_image(text: str) -> ImageName:
    """Parse `repository:tag` or `repository@digest`. Raises ValueError for anything else.

    A digest may be cut, as tables show them: `app@sha256:012c17e4ec1b`, `app@012c17e4ec1b`.
    """
    refuse_host(text)
    repository, at, digest = text.partition('@')
    if at:
        short = _SHORT_DIGEST.match(digest)
        if not repository or not short:
            raise ValueError(f"'{text}' is not repository@sha256:..., with up to 64 digits")
        return ImageName(text, repository, digest=f'sha256:{short["digits"]}')
    if text.startswith('sha256:') and _SHORT_DIGEST.match(text):
        raise ValueError(f"'{text}' is a digest without its repository, as in team/app@{text}")
    repository, _, tag = text.rpartition(':')
    if not repository or not tag or '/' in tag:
        raise ValueError(f"'{text}' is neither repository:tag nor repository@digest")
    return ImageName(text, repository, tag=tag)


def digest_of(image: ImageName, inventory: Inventory) -> str:
    """The digest of the manifest that an image name stands for. Raises NotAnImage."""
    repository = _repository(inventory, image.repository)
    if image.tag is not None:
        holders = [digest for digest, manifest in repository.manifests.items() if image.tag in manifest.tags]
        known = repository.tags.get(image.tag)
        if holders:  # the two listings may differ, and that of tags decides
            return known.digest if known and known.digest in holders else holders[0]
        raise NotAnImage(f"The repository '{image.repository}' has no tag '{image.tag}'.", image.repository)
    found = whole_digest(image, repository.manifests)
    if found is None:
        raise NotAnImage(_what_it_is(image, repository), image.repository)
    return found


def whole_digest(image: ImageName, digests: Iterable[str]) -> str | None:
    """The one of these digests that begins as that of the image. Raises NotAnImage where several do."""
    found = sorted(digest for digest in digests if image.digest and digest.startswith(image.digest))
    if len(found) > 1:
        candidates = ', '.join(f'{image.repository}@{digest}' for digest in found[:_CANDIDATES])
        more = f' and {len(found) - _CANDIDATES} more' if len(found) > _CANDIDATES else ''
        raise NotAnImage(
            f"'{image.text}' may be several images: {candidates}{more}. Give more of its digest.", image.repository
        )
    return found[0] if found else None


def decide_images(
    inventory: Inventory,
    images: Sequence[ImageName],
    include_locked: bool = False,
    pins: Pins = Pins(),
    unsettled: Unsettled = settled,
) -> Decision:
    """Delete the named manifests with all their tags, and what falls with them. Raises NotAnImage, and Pinned.

    Platform images of a named index fall when no other index and no tag needs them; referrers and attachments fall
    with their subject, as the service would have it. A named manifest that something else needs stays, and so does
    what is pinned of the things that would fall.
    """
    targets: dict[str, set[str]] = {}
    pinned = {repository.name: pins.on(repository) for repository in inventory.repositories}
    refused = []
    for image in images:
        digest = digest_of(image, inventory)
        targets.setdefault(image.repository, set()).add(digest)
        if digest in pinned[image.repository]:
            refused.append(f'{image.text} ({pinned[image.repository][digest]})')
    if refused:
        raise Pinned(*refused)
    return Decision(
        inventory,
        {'images': [image.text for image in images]},
        {
            repository.name: _judge(
                repository,
                targets.get(repository.name, set()),
                include_locked,
                pinned[repository.name],
                unsettled,
                opaque(repository) if repository.name in targets else None,
            )
            for repository in in_order(inventory.repositories)
        },
        include_locked=include_locked,
        pins=pins,
    )


@dataclass(frozen=True)
class Alone:
    """What becomes of one image and its parts when it alone is named and deleted.

    `goes` are the digests that go, itself included; none where it has to stay. `stays` are itself, its parts and what
    refers to it, as far as they stay, with what keeps each of them.
    """

    goes: frozenset[str]
    stays: Mapping[str, Verdict]


class Fallout:
    """What deleting one image of a repository alone would take, by the rules of `decide_images`.

    Only what hangs together with the image is judged, so that many images of a large repository can be asked for.
    """

    def __init__(
        self,
        repository: Repository,
        include_locked: bool = False,
        pins: Pins = Pins(),
        unsettled: Unsettled = lambda _: None,
    ) -> None:
        self._repository = repository
        self._include_locked = include_locked
        self._unsettled = unsettled
        self._graph = build_graph(repository)
        self._pinned = pins.on(repository)
        self._unread = opaque(repository)

    def of(self, digest: str) -> Alone:
        manifests = self._repository.manifests
        near = replace(self._repository, manifests={each: manifests[each] for each in walk([digest], self._tied)})
        verdicts = _judge(near, {digest}, self._include_locked, self._pinned, self._unsettled, self._unread)
        return Alone(
            frozenset(each for each, verdict in verdicts.items() if not verdict.kept),
            staying(verdicts, self._graph, [digest]),
        )

    def _tied(self, digest: str) -> Iterator[str]:
        graph = self._graph
        yield from graph.holders(digest)
        yield from (other for other, _ in graph.consequences(digest))
        yield from (ghost for ghost, _ in graph.ghosts.get(digest, ()))


def staying(verdicts: Mapping[str, Verdict], graph: Graph, named: Iterable[str]) -> dict[str, Verdict]:
    """Of the images that are named, their parts and what refers to them: those that stay, each with what keeps it."""
    asked = walk(sorted(named), lambda digest: (other for other, _ in graph.consequences(digest)))
    return {digest: verdicts[digest] for digest in asked if verdicts[digest].kept}


def decide_untag(
    inventory: Inventory,
    images: Sequence[ImageName],
    include_locked: bool = False,
    pins: Pins = Pins(),
    unsettled: Unsettled = settled,
) -> Decision:
    """Remove the named tags and nothing else. Raises NotAnImage, Pinned, Locked or Young."""
    tags: dict[str, dict[str, Verdict]] = {}
    refused = [
        f'{image.text} ({pins.by_tag(image.repository)[str(image.tag)]})'
        for image in images
        if str(image.tag) in pins.by_tag(image.repository)
    ]
    if refused:
        raise Pinned(*refused)
    for image in images:
        repository = _repository(inventory, image.repository)
        manifest = repository.manifests[digest_of(image, inventory)]
        lock = lock_on_tag(repository, manifest, str(image.tag), include_locked)
        if lock:
            raise Locked((f'{image.text} ({lock})', name_of_locked(repository.name, manifest.digest, lock)))
        tags.setdefault(
            image.repository,
            {tag: Verdict(True, TAGGED, tag) for other in repository.manifests.values() for tag in other.tags},
        )
        why = unsettled(repository.tags.get(str(image.tag)) or manifest)
        if why:
            raise Young(f'{why}: {image.text}')
        tags[image.repository][str(image.tag)] = Verdict(False, NAMED, image.text)
    kept = Verdict(True, EXCLUDED, 'only tags are removed')
    return Decision(
        inventory,
        {'untag': [image.text for image in images]},
        {
            repository.name: dict.fromkeys(sorted(repository.manifests), kept)
            for repository in in_order(inventory.repositories)
        },
        tags,
        include_locked,
        pins,
    )


def decide_repository(inventory: Inventory, name: str, pins: Pins = Pins(), unsettled: Unsettled = settled) -> Decision:
    """Delete everything in a repository.

    Raises Locked, Pinned or Young when anything in it is, NotWhole when that is not known of all, NotAnImage if empty.
    """
    repository = _repository(inventory, name)
    if repository.unseen:
        raise NotWhole(f'{name}: {repository.unseen}', name)
    if repository.hidden:
        raise NotWhole(f'{name}: {min(repository.hidden)} is hidden from lists', name)
    if not repository.manifests:
        raise NotAnImage(f"The repository '{name}' is empty: it has no manifest that could be deleted.", name)
    locks = []
    if repository.locks.locked:
        flag = repository.locks.flags[0]
        locks.append((f'{name} (repository {flag})', name_of_locked(name, '', 'repository')))
    locks += [
        (f'{name}@{digest} ({what} {lock.flags[0]})', name_of_locked(name, digest, what))
        for digest, manifest in sorted(repository.manifests.items())
        for what, lock in locks_of(repository, manifest)
    ]
    if locks:
        raise Locked(*locks)
    pinned = [
        f'{name}@{digest} ({who})'
        for digest, who in sorted(pins.on(repository).items())
        if digest in repository.manifests
    ]
    if pinned:
        raise Pinned(*pinned)
    _refuse_young(repository, unsettled)
    return Decision(
        inventory,
        {'repository': name},
        {
            each.name: dict.fromkeys(
                sorted(each.manifests), Verdict(each.name != name, *_about(each.name == name, name))
            )
            for each in in_order(inventory.repositories)
        },
        pins=pins,
    )


def _refuse_young(repository: Repository, unsettled: Unsettled) -> None:
    """Raises Young for the first manifest or tag that is too young; nobody may know all that is in it then."""
    things: Iterable[Manifest | Tag] = (*repository.manifests.values(), *repository.tags.values())
    for thing in things:
        why = unsettled(thing)
        if why:
            name = f':{thing.name}' if isinstance(thing, Tag) else f'@{thing.digest}'
            raise Young(f'{why}: {repository.name}{name}')


def _about(named: bool, name: str) -> tuple[str, str]:
    return (NAMED, f'repository {name}') if named else (EXCLUDED, 'repository not selected')


def _judge(
    repository: Repository,
    targets: AbstractSet[str],
    include_locked: bool,
    pinned: Mapping[str, str],
    unsettled: Unsettled,
    unread: str | None,
) -> Mapping[str, Verdict]:
    """A verdict for each manifest. `unread` is what may need any of them, where something could not be read."""
    if not targets:
        return dict.fromkeys(sorted(repository.manifests), Verdict(True, EXCLUDED, 'repository not selected'))
    graph = build_graph(repository)
    candidates = _candidates(repository, graph, targets)
    roots = {
        digest: verdict
        for digest in sorted(repository.manifests)
        for verdict in [_root(repository, digest, candidates, include_locked, pinned, unread)]
        if verdict
    }
    for digest in sorted(candidates - roots.keys()):
        why = too_young(repository, digest, unsettled)
        if why:
            roots[digest] = Verdict(True, YOUNG, why)
    verdicts = {**roots, **kept_by(roots, graph)}
    doomed = frozenset(repository.manifests) - frozenset(verdicts)
    for digest in doomed:
        named = Verdict(False, NAMED, digest)
        verdicts[digest] = named if digest in targets else falling(digest, doomed, graph) or named
    return dict(sorted(verdicts.items()))


def _candidates(repository: Repository, graph: Graph, targets: AbstractSet[str]) -> frozenset[str]:
    """The targets, and the untagged manifests that can be reached from them by edges to children and referrers."""

    def untagged(above: str) -> Iterator[str]:
        others = (other for other, _ in graph.consequences(above) if other not in repository.hidden)
        return (other for other in others if not user_tags(repository.manifests[other]))

    return frozenset(walk(targets, untagged))


def _root(
    repository: Repository,
    digest: str,
    candidates: AbstractSet[str],
    include_locked: bool,
    pinned: Mapping[str, str],
    unread: str | None,
) -> Verdict | None:
    manifest = repository.manifests[digest]
    lock = lock_on(repository, manifest, include_locked)
    if lock:
        return Verdict(True, LOCKED, lock)
    if digest in pinned:
        return Verdict(True, PINNED, pinned[digest])
    if digest not in candidates:
        tags = user_tags(manifest)
        return Verdict(True, TAGGED, tags[0]) if tags else Verdict(True, EXCLUDED, 'not named')
    return Verdict(True, UNREADABLE, unread) if unread else None


def _what_it_is(image: ImageName, repository: Repository) -> str:
    """What a digest stands for that is no manifest. People copy the digest of a config from `docker`, for example."""
    for kind, users in _users(repository, str(image.digest)):
        names = ', '.join(f'{repository.name}@{digest}' for digest in users[:5])
        more = f' and {len(users) - 5} more' if len(users) > 5 else ''
        return f"'{image.digest}' is the digest of a {kind}, not of a manifest. It is used by {names}{more}."
    return f"The repository '{image.repository}' has no manifest '{image.digest}'."


def _users(repository: Repository, digest: str) -> Iterable[tuple[str, list[str]]]:
    contents = [
        (name, manifest.content)
        for name, manifest in sorted(repository.manifests.items())
        if isinstance(manifest.content, Content)
    ]
    configs = [name for name, content in contents if (content.config or '').startswith(digest)]
    layers = [
        name
        for name, content in contents
        if name not in configs and any(blob.digest.startswith(digest) for blob in content.blobs)
    ]
    return [(kind, users) for kind, users in (('config', configs), ('layer', layers)) if users]


def _repository(inventory: Inventory, name: str) -> Repository:
    for repository in inventory.repositories:
        if repository.name == name:
            return repository
    raise NotAnImage(f"The repository '{name}' is not there, or could not be read.", None)
