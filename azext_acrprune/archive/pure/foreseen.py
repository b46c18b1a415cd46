"""A registry as it will be once things are back, and what a decision over it takes of these. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...decide.decision import Decision
from ...decide.impact import Node
from ...decide.reasons import CHILD_OF, REFERRER_OF, RELATIONS, TOLD
from ...model import Content, Inventory, Locks, Manifest, Repository, Tag, parse_ticks
from .choose import Restoration
from .layout import Kept, Record
from .lost import Lost, by_node, lost_of_records

_MOST = 10
"""So many images are named."""


@dataclass(frozen=True)
class Coming:
    """What comes back: manifests, (repository, tag, digest), and what is known of them, the last first.

    `contents` are those of manifests by digest, as far as they can be read yet.
    """

    manifests: Collection[Node]
    tags: Collection[tuple[str, str, str]]
    lost: Sequence[Lost]
    contents: Mapping[str, Content]


def coming_from(chosen: Restoration, records: Iterable[Record], kept: Mapping[str, Kept]) -> Coming:
    """What comes back from an archive with these records."""
    manifests = [image.node for wave in chosen.waves for image in wave]
    tags = [(record.repository, str(record.tag), record.digest) for record in chosen.tags]
    nodes = {*manifests, *((name, digest) for name, _, digest in tags)}
    near = [record for record in records if (record.repository, record.digest) in nodes]
    return Coming(manifests, tags, lost_of_records(near), contents_of(kept))


def contents_of(kept: Mapping[str, Kept]) -> dict[str, Content]:
    """The contents of manifests that are in an archive, by digest."""
    return {digest: each.content for digest, each in kept.items()}


def as_if_back(inventory: Inventory, coming: Coming, now: int) -> Inventory:
    """The inventory with what comes back; it counts with the times that it had, or where they are not known with `now`.

    What cannot be read yet has inside it what went because of it.
    """
    here = {repository.name: repository for repository in inventory.repositories}
    known, inside, before = by_node(coming.lost), _inside(coming.lost), _tags_before(coming.lost)
    manifests: dict[str, dict[str, Manifest]] = {}
    tags: dict[str, dict[str, Tag]] = {}
    for node in coming.manifests:
        content = coming.contents.get(node[1]) or inside.get(node) or Content(0)
        manifests.setdefault(node[0], {})[node[1]] = _manifest(node, known.get(node), content, now)
    for name, tag, digest in coming.tags:
        locks, updated = before.get((name, tag, digest), (Locks(), None))
        tags.setdefault(name, {})[tag] = Tag(tag, digest, updated, None, parse_ticks(updated) or now, locks)
    for name in {*manifests, *tags}:
        repository = here.get(name) or Repository(name, {})
        here[name] = _with(repository, manifests.get(name, {}), tags.get(name, {}))
    return replace(inventory, repositories=tuple(here[name] for name in sorted(here)))


def _with(repository: Repository, manifests: Mapping[str, Manifest], tags: Mapping[str, Tag]) -> Repository:
    every = {**repository.tags, **tags}
    on: dict[str, list[str]] = {}
    for tag in every.values():
        on.setdefault(tag.digest, []).append(tag.name)
    moved = set(tags)
    found = {}
    for digest, manifest in {**repository.manifests, **manifests}.items():
        names = {*(tag for tag in manifest.tags if tag not in moved), *on.get(digest, ())}
        found[digest] = manifest._replace(tags=tuple(sorted(names)))
    return replace(repository, manifests=found, tags=every)


def _manifest(node: Node, lost: Lost | None, content: Content, now: int) -> Manifest:
    if lost is None:
        return Manifest(node[1], content, created_at=now, updated_at=now)
    return Manifest(
        node[1],
        content,
        media_type=lost.media_type,
        created_time=lost.created,
        last_update_time=lost.updated,
        created_at=parse_ticks(lost.created) or now,
        updated_at=parse_ticks(lost.updated) or now,
        locks=lost.locks,
    )


def _tags_before(lost: Iterable[Lost]) -> dict[tuple[str, str, str], tuple[Locks, str | None]]:
    """The locks of each tag, and when it was last updated, as the first of several says."""
    found: dict[tuple[str, str, str], tuple[Locks, str | None]] = {}
    for each in lost:
        for tag, locks in each.tags:
            found.setdefault((each.repository, tag, each.digest), (locks, each.tag_times.get(tag)))
    return found


def _inside(lost: Iterable[Lost]) -> dict[Node, Content]:
    """What manifests had in them or referred to, by the reasons for which their parts went."""
    children: dict[Node, list[str]] = {}
    subjects: dict[Node, str] = {}
    for each in lost:
        if each.reason == CHILD_OF and each.because:
            children.setdefault((each.repository, each.because), []).append(each.digest)
        elif each.subject or each.reason == REFERRER_OF:
            subjects[each.repository, each.digest] = each.subject or str(each.because)
    return {node: Content(0, tuple(children.get(node, ())), subjects.get(node)) for node in {*children, *subjects}}


def told_taken(decision: Decision, coming: Coming) -> tuple[int, int, list[str]]:
    """How many manifests, and tags, a decision takes of what comes back, and a line on some of these with the reason.

    What goes with another one has no line of its own.
    """
    decision = decision.with_retiring_gone()
    gone = set(coming.manifests).intersection(decision.doomed_in_order())
    tags = [each for each in coming.tags if (each[0], each[2]) in gone or _loses(decision, each[0], each[1])]
    lines = sorted(_lines(decision, gone, tags))
    more = [f'  and {len(lines) - _MOST} more'] if len(lines) > _MOST else []
    return len(gone), len(tags), [*lines[:_MOST], *more]


def _loses(decision: Decision, name: str, tag: str) -> bool:
    verdict = decision.tags.get(name, {}).get(tag)
    return verdict is not None and not verdict.kept


def _lines(decision: Decision, gone: Collection[Node], tags: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    names: dict[Node, list[str]] = {}
    for name, tag, digest in tags:
        names.setdefault((name, digest), []).append(tag)
    for node in {*gone, *names}:
        name, digest = node
        verdict = decision.verdicts[name][digest] if node in gone else decision.tags[name][names[node][0]]
        if verdict.reason not in RELATIONS:
            told = f'{name}:{", ".join(sorted(names[node]))}' if node in names else f'{name}@{digest}'
            label = TOLD[verdict.reason].label if verdict.reason in TOLD else verdict.reason
            yield f'  {told}: {label}{f" ({verdict.because})" if verdict.because else ""}'
