"""What an archive of a decision has to hold, and what may go once it holds it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import NamedTuple

from ...decide.decision import Decision
from ...decide.drift import needed
from ...decide.graph import Graph, absent_children, build_graph, spread, walk
from ...decide.impact import Node, open_ledger
from ...decide.retention import with_retention
from ...decide.verdicts import Verdict
from ...model import Content, Ghost, Manifest, Notice, Repository, Skipped, Tag, counted_time, in_order
from .layout import Record

NOT_ARCHIVED = 'notArchived'
"""The reason of what was not deleted because it could not be archived."""

NO_TIME_LEFT = 'the time was over'
"""Why something was not archived that nothing is wrong with: the next run goes on with it."""

NOT_RESTORABLE = 'notRestorable'
"""Code of the notice about a manifest that an archive of manifests alone cannot bring back."""


def could_not_be_archived(reason: str, because: str) -> bool:
    """Whether this is why something stays that was to go, and there was time enough."""
    return reason == NOT_ARCHIVED and not because.endswith(NO_TIME_LEFT)


class Saved(NamedTuple):
    """A manifest that is safely in an archive; `subject` is empty where it names none.

    `image_size` counts its blobs too, where they are archived.
    """

    media_type: str
    size: int
    subject: str
    image_size: int


@dataclass(frozen=True)
class Wanted:
    """What is archived. Each is (repository, digest).

    `doomed` are the manifests that go, now or by the registry itself later, ghosts apart, of which there is nothing to
    keep; `parts` those that stay and that a doomed index needs; `tagged` those that stay and only lose a tag, whose
    blobs nobody is about to lose. `belonging` are the children of these and what refers to them, ghosts apart: without
    one of them, another one does not come back whole.
    """

    doomed: frozenset[Node]
    parts: frozenset[Node]
    tagged: frozenset[Node]
    belonging: frozenset[Node]

    @property
    def whole(self) -> frozenset[Node]:
        """Those whose blobs are needed to have them again."""
        return self.doomed | self.parts

    @property
    def manifests(self) -> frozenset[Node]:
        return self.whole | self.tagged


def wanted(decision: Decision) -> Wanted:
    """What the archive of a decision has to hold."""
    doomed: set[Node] = set()
    parts: set[Node] = set()
    tagged: set[Node] = set()
    belonging: set[Node] = set()
    for repository, graph in _touched(decision):
        going = {
            digest
            for digest in decision.doomed_in(repository.name) | decision.later_in(repository.name)
            if not isinstance(repository.manifests[digest].content, Ghost)
        }
        inside = walk(sorted(going), graph.below)
        doomed.update((repository.name, digest) for digest in going)
        parts.update((repository.name, digest) for digest in set(inside) - going)
        belonging.update(
            (repository.name, digest)
            for above in inside
            for digest in (*graph.below(above), *graph.referrers.get(above, ()))
            if not isinstance(repository.manifests[digest].content, Ghost)
        )
        tagged.update((repository.name, digest) for _, digest, _ in decision.untagged_in(repository))
    return Wanted(frozenset(doomed), frozenset(parts), frozenset(tagged - doomed - parts), frozenset(belonging))


def blobs_of(decision: Decision, nodes: Iterable[Node]) -> dict[str, int]:
    """The sizes of the blobs that manifests use, by digest, as far as the scan read them.

    Where manifests contradict, the largest: one that lies must not keep others out of the archive.
    """
    manifests = _manifests(decision)
    sizes: dict[str, int] = {}
    for content in (manifests[node].content for node in nodes):
        for blob in content.blobs if isinstance(content, Content) else ():
            sizes[blob.digest] = max(blob.size, sizes.get(blob.digest, 0))
    return sizes


def records_of(decision: Decision, saved: Mapping[Node, Saved], registry: str, archived_at: str) -> list[Record]:
    """The records of what was saved: manifests that go with their tags, and tags that are removed alone."""
    records: list[Record] = []
    for repository, _ in _touched(decision):
        going = [repository.manifests[digest] for digest in sorted(decision.doomed_in(repository.name))]
        tags = [(tag, manifest.digest) for manifest in going for tag in manifest.tags]
        tags += [(tag, digest) for tag, digest, _ in decision.untagged_in(repository)]
        later = [repository.manifests[digest] for digest in sorted(decision.later_in(repository.name))]
        things: list[Manifest | Tag] = [
            *(_as_before_retiring(decision, repository.name, manifest) for manifest in (*going, *later)),
            *(_tag_of(repository, tag, digest) for tag, digest in tags),
        ]
        for thing in things:
            if kept := saved.get((repository.name, thing.digest)):
                record = Record(registry, repository.name, thing.digest, kept.media_type, kept.size, archived_at)
                records.append(_as_it_is(record, thing, repository, kept))
    return records


def _as_before_retiring(decision: Decision, repository: str, manifest: Manifest) -> Manifest:
    """A manifest with the locks that it gets back. That this program retired it is none of them."""
    if manifest.digest not in decision.retired.get(repository, {}):
        return manifest
    return manifest._replace(locks=replace(manifest.locks, read_enabled=True))


def _as_it_is(record: Record, thing: Manifest | Tag, repository: Repository, kept: Saved) -> Record:
    """The record of a manifest or of a tag, with its locks and the times that it counts with."""
    return record._replace(
        tag=thing.name if isinstance(thing, Tag) else None,
        locks=thing.locks,
        created=counted_time(thing.created_time, thing.created_at) if isinstance(thing, Manifest) else None,
        updated=counted_time(thing.last_update_time, thing.updated_at),
        repository_locks=repository.locks,
        subject=kept.subject,
        image_size=kept.image_size,
    )


def narrowed(decision: Decision, failures: Mapping[Node, str]) -> tuple[Decision, list[Skipped]]:
    """The decision without what could not be archived, and what is skipped for it.

    `failures` say why. An index is not archived when a child of it is not. What is not archived stays, with all that
    it needs: its children, what refers to it, and its subject. A tag on what stays is not removed.
    """
    verdicts = {name: dict(each) for name, each in decision.verdicts.items()}
    tags = {name: dict(each) for name, each in decision.tags.items()}
    skipped: list[Skipped] = []
    for repository, graph in _touched(decision):
        failed = _failed_in(repository.name, graph, failures)
        going = decision.doomed_in(repository.name)
        staying = {
            **needed(graph, going - set(failed), set(failed)),
            **{digest: verdict for digest, verdict in failed.items() if digest in going},
        }
        later = decision.later_in(repository.name)
        unsafe = {**needed(graph, later - set(failed), set(failed)), **failed}
        losing = [(tag, digest) for tag, digest, _ in decision.untagged_in(repository) if digest in unsafe]
        skipped += [
            Skipped(repository.name, digest, verdict.reason, verdict.because)
            for digest, verdict in sorted(staying.items())
        ]
        skipped += [
            Skipped(repository.name, digest, NOT_ARCHIVED, unsafe[digest].because, tag) for tag, digest in losing
        ]
        verdicts[repository.name].update(staying)
        kept_tags = [(tag, digest) for digest in staying for tag in repository.manifests[digest].tags] + losing
        for tag, digest in kept_tags:
            if tag in tags.get(repository.name, {}):
                tags[repository.name][tag] = Verdict(True, NOT_ARCHIVED, digest)
    decision = replace(decision, verdicts=verdicts, tags=tags, later=frozenset())
    return with_retention(decision, decision.retention), skipped


def not_restorable(decision: Decision) -> list[Notice]:
    """The doomed manifests of which an archive of manifests alone is not enough: their layers go with them."""
    ledger = open_ledger(decision.inventory)
    freed = set(ledger.freed_by(decision.doomed | decision.later))
    graphs = {repository.name: graph for repository, graph in _touched(decision)}
    manifests = _manifests(decision)
    notices = []
    for name, digest in sorted(wanted(decision).doomed):
        inside = walk([digest], graphs[name].below)
        lost = [blob for each in inside for blob in _blobs(manifests[name, each]) if blob in freed]
        if lost:
            notices.append(
                Notice(
                    NOT_RESTORABLE,
                    'The archive will hold its manifest alone, and its layers go with it '
                    f'({len(set(lost))} blobs): it cannot be restored. --archive-content all keeps them.',
                    name,
                    digest,
                )
            )
    return notices


def incomplete(decision: Decision) -> list[Notice]:
    """The doomed indexes whose children are not all there: a registry may not take them back."""
    return [
        Notice(
            NOT_RESTORABLE,
            f'The index names {len(missing)} manifests that are not there: the registry may '
            'not take it back from an archive.',
            repository.name,
            digest,
        )
        for repository, _ in _touched(decision)
        for digest in sorted(decision.doomed_in(repository.name))
        for missing in [absent_children(repository, digest)]
        if missing
    ]


def _touched(decision: Decision) -> Iterator[tuple[Repository, Graph]]:
    for repository in in_order(decision.inventory.repositories):
        if decision.doomed_in(repository.name) or any(decision.untagged_in(repository)):
            yield repository, build_graph(repository)


def _failed_in(name: str, graph: Graph, failures: Mapping[Node, str]) -> dict[str, Verdict]:
    """What of a repository is not in the archive: the failures, and the indexes above them, which say of which child.

    Of two children the one counts that there was time for.
    """
    whys = {digest: why for (repository, digest), why in failures.items() if repository == name}
    own = sorted(whys, key=lambda digest: (whys[digest] == NO_TIME_LEFT, digest))
    above = spread(own, lambda digest: ((parent, '') for parent in graph.parents.get(digest, ())))
    for digest, (_, child) in above.items():
        whys[digest] = f'its child {child}: {whys[child]}'
    return {digest: Verdict(True, NOT_ARCHIVED, why) for digest, why in whys.items()}


def _tag_of(repository: Repository, tag: str, digest: str) -> Tag:
    return repository.tags[tag]._replace(digest=digest) if tag in repository.tags else Tag(tag, digest)


def _blobs(manifest: Manifest) -> AbstractSet[str]:
    return {blob.digest for blob in manifest.content.blobs} if isinstance(manifest.content, Content) else set()


def _manifests(decision: Decision) -> dict[Node, Manifest]:
    return {
        (repository.name, digest): manifest
        for repository in decision.inventory.repositories
        for digest, manifest in repository.manifests.items()
    }
