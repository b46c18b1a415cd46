"""The plan document, schema version 1, and its checksum: an edited or truncated plan must not be carried out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..decide.decision import Decision
from ..decide.graph import Graph, build_graph, falls_with
from ..decide.health import BROKEN, MISSING_CHILDREN, Everywhere, content_findings
from ..decide.impact import (
    Impact,
    Ledger,
    bytes_unseen,
    kind_of_falling,
    kind_of_freed,
    kind_of_held,
    open_ledger,
    unread_referrers,
)
from ..decide.manifests import STREAMING_TYPE
from ..decide.verdicts import Verdict, locks_of
from ..exit_reasons import reason_of_plan
from ..model import EXACT, Account, Inventory, Manifest, Notice, Repository, Tag, in_order, time_text
from .as_seen import as_seen, quarantine_of
from .cost import Price, cost_fields
from .groups import grouped, rule_rows
from .later import later_entries, later_summary
from .layers import shared_layers
from .locking import lock_entries
from .retirements import retired_time, retirement_summary, retirements
from .staying import staying_of_named

SCHEMA_VERSION = 1

_KEY = 'checksum'
_UNSEALED = (_KEY, 'createdAt')
"""Not part of what the checksum is made of: the same registry gives the same checksum at any time."""
_BATCH = 1_000

NOT_PROVEN = 'catalogNotProven'
UNSEEN_BYTES = 'unseenBytes'
"""Codes of the warnings that nobody could tell whether the catalog hides something, and that Azure counts more bytes
than were found."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(',', ':'), check_circular=False)


def plan_document(
    decision: Decision,
    created_at: str,
    show_kept: bool = False,
    soft_delete_days: int | None = None,
    group_by: str | None = None,
    price: Price | None = None,
    account: Account | None = None,
) -> dict[str, Any]:
    """The plan as JSON-ready data, schema version 1.

    The same decision gives the same document, except for `createdAt`. `freedBytes` of one repository are what its part
    of the plan frees alone; layers that go only with several repositories are in the total alone. `heldImpact` says
    what `registryBytes` and `sharedBytes` are: what was not read is missing in both.
    """
    ledger = open_ledger(decision.inventory)
    writer = _Writer(decision, ledger)
    impact = ledger.impact(decision.doomed_in_order())
    rows = [writer.repository(repository, impact) for repository in writer.repositories]
    document = {
        'schemaVersion': SCHEMA_VERSION,
        'registry': decision.inventory.registry,
        'createdAt': created_at,
        'policy': {**decision.given, **decision.pins.shown},
        'impact': writer.kind,
        'summary': {
            **_summary(decision, impact, rows),
            **retirement_summary(decision, ledger, impact.freed),
            'manifestsToDeleteLater': len(decision.later),
            **later_summary(decision, ledger, decision.doomed_in_order(), sorted(decision.later)),
            'heldImpact': kind_of_held(decision.inventory, ledger),
            'softDeleteRetentionDays': soft_delete_days,
        },
        'repositories': rows,
        **writer.entries(impact),
    }
    if 'images' in decision.given:
        document['staysWith'] = staying_of_named(decision)
    if group_by:
        document.update(groupBy=group_by, groups=grouped(decision, ledger, group_by))
    if price:
        document['cost'] = _cost(account or Account(), document['impact'], price, impact)
    if show_kept:
        document['kept'] = [entry for repository in writer.repositories for entry in writer.kept(repository)]
    document['exitReason'] = reason_of_plan(document)
    return sealed(document)


def _cost(account: Account, kind: str, price: Price, impact: Impact) -> dict[str, Any]:
    return cost_fields(account, impact.registry if kind == 'exact' else None, price, impact.freed)


def warnings_of(decision: Decision, ledger: Ledger) -> list[dict[str, Any]]:
    """The `warnings` of a plan, in stable order: what happened in the scan, and what is wrong in the registry."""
    return [_warning(warning) for warning in _Writer(decision, ledger).warnings()]


class _Writer:
    """Writes the entries of one plan."""

    def __init__(self, decision: Decision, ledger: Ledger) -> None:
        self.repositories: list[Repository] = in_order(decision.inventory.repositories)
        self._everywhere = Everywhere.of(decision.inventory)
        self._decision = decision
        self._ledger = ledger
        self._graphs: dict[str, Graph] = dict(decision.graphs)
        self._may_refer: dict[str, frozenset[str]] = {}
        self.kind = kind_of_freed(decision.inventory, ledger, decision.doomed_in_order())

    def graph(self, repository: Repository) -> Graph:
        if repository.name not in self._graphs:
            self._graphs[repository.name] = build_graph(repository)
        return self._graphs[repository.name]

    def repository(self, repository: Repository, impact: Impact) -> dict[str, Any]:
        return {
            'repository': repository.name,
            'name': repository.name,
            'manifests': len(repository.manifests),
            'manifestsToDelete': len(self._decision.doomed_in(repository.name)),
            'tagsToDelete': _tags_to_delete(self._decision, repository),
            'freedBytes': impact.alone.get(repository.name, 0),
            **self._bound(repository, self._decision.doomed_in(repository.name)),
        }

    def entries(self, impact: Impact) -> dict[str, Any]:
        return {
            **({'rules': rule_rows(self._decision, self._ledger)} if self._decision.rules else {}),
            'delete': [entry for repository in self.repositories for entry in self.deletes(repository, impact)],
            'untag': [entry for repository in self.repositories for entry in self.untags(repository)],
            'deleteLater': later_entries(self._decision),
            **retirements(self._decision, self.repositories),
            **lock_entries(self._decision.kept_locked),
            'sharedLayers': shared_layers(self._decision, self._ledger, impact.staying),
            'warnings': [_warning(warning) for warning in self.warnings()],
        }

    def deletes(self, repository: Repository, impact: Impact) -> Iterator[dict[str, Any]]:
        unique = impact.unique.get(repository.name, {})
        with_others = self._freed_with_others(repository)
        verdicts = self._decision.verdicts[repository.name]
        for digest in sorted(self._decision.doomed_in(repository.name)):
            manifest = repository.manifests[digest]
            yield {
                **_identity(repository, manifest),
                **as_seen(repository, manifest),
                'mediaType': manifest.media_type,
                'artifactType': manifest.artifact_type,
                **({'streamingCopy': True} if manifest.artifact_type == STREAMING_TYPE else {}),
                'createdTime': manifest.created_time,
                'lastUpdateTime': manifest.last_update_time,
                'imageSize': manifest.image_size,
                'uniqueBytes': with_others[digest] if digest in with_others else unique.get(digest, 0),
                **self._bound_of_one(repository, digest),
                **_why(verdicts[digest]),
                **_locks(repository, manifest),
                **retired_time(self._decision, repository.name, digest),
                **self._pulled(repository, digest),
            }

    def untags(self, repository: Repository) -> Iterator[dict[str, Any]]:
        for tag, digest, verdict in self._decision.untagged_in(repository):
            known = repository.tags.get(tag) or Tag(tag, digest)
            yield {
                'repository': repository.name,
                'tag': tag,
                'digest': digest,
                'lastUpdateTime': known.last_update_time,
                **quarantine_of(repository.manifests[digest]),
                **_why(verdict),
                **_locks(repository, repository.manifests[digest], tag),
            }

    def kept(self, repository: Repository) -> Iterator[dict[str, Any]]:
        for digest, verdict in self._decision.verdicts[repository.name].items():
            if verdict.kept:
                yield {
                    **_identity(repository, repository.manifests[digest]),
                    **_why(verdict),
                    **self._pulled(repository, digest),
                }

    def _bound(self, repository: Repository, going: Iterable[str]) -> dict[str, str]:
        """The `impact` of a part of the plan, where it is another than that of the whole."""
        if self.kind == EXACT:
            return {}
        kind = kind_of_freed(self._decision.inventory, self._ledger, [(repository.name, each) for each in going])
        return {} if kind == self.kind else {'impact': kind}

    def _bound_of_one(self, repository: Repository, digest: str) -> dict[str, str]:
        if self.kind == EXACT:
            return {}
        name, doomed = repository.name, self._decision.doomed_in(repository.name)
        if name not in self._may_refer:
            self._may_refer[name] = unread_referrers(repository) & doomed
        fallen = falls_with(digest, self.graph(repository), doomed)
        kind = kind_of_falling(self._decision.inventory, self._ledger, name, fallen, self._may_refer[name])
        return {} if kind == self.kind else {'impact': kind}

    def _pulled(self, repository: Repository, digest: str) -> dict[str, Any]:
        at = self._decision.inventory.pulled.get(repository.name, {}).get(digest)
        return {} if at is None else {'lastPulledTime': time_text(at)}

    def warnings(self) -> list[Notice]:
        found = [*self._decision.inventory.warnings, *self._decision.remarks]
        found.extend(Notice(problem.code, str(problem)) for problem in self._decision.pins.problems)
        found.extend(_unseen(self._decision.inventory, self._ledger))
        found.extend(
            Notice(finding.code, finding.message, finding.repository, finding.digest)
            for finding in content_findings(
                self.repositories, self.graph, self._stays, self._everywhere, self._ledger.consistent
            )
            if finding.code != MISSING_CHILDREN or finding.severity == BROKEN
        )
        return sorted(found, key=lambda item: (item.repository or '', item.digest or '', item.code, item.message))

    def _stays(self, repository: str, digest: str) -> bool:
        return self._decision.verdicts[repository][digest].kept

    def _freed_with_others(self, repository: Repository) -> dict[str, int]:
        """The bytes that go with each doomed manifest that has children or referrers. These may fall with it."""
        graph, doomed = self.graph(repository), self._decision.doomed_in(repository.name)
        return {
            digest: self._ledger.bytes_freed_by(
                (repository.name, fallen) for fallen in falls_with(digest, graph, doomed)
            )
            for digest in doomed.intersection((*graph.children, *graph.referrers))
        }


def _unseen(inventory: Inventory, ledger: Ledger) -> Iterator[Notice]:
    if not inventory.proven:
        yield Notice(
            NOT_PROVEN,
            'Only Azure can tell whether the catalog hides repositories, which may use the same layers, and it could '
            'not be asked how much is stored. So the bytes are bounds. It needs az login, and Reader on the registry.',
        )
    unseen = bytes_unseen(inventory, ledger)
    if unseen:
        yield Notice(
            UNSEEN_BYTES,
            f'Azure says that {unseen:,} bytes more are stored than were found. Images may be there that are hidden '
            'from the catalog; so may soft-deleted ones, uploads that no manifest uses yet, and what was deleted a '
            'moment ago.',
        )


def _identity(repository: Repository, manifest: Manifest) -> dict[str, Any]:
    return {'repository': repository.name, 'digest': manifest.digest, 'tags': list(manifest.tags)}


def _why(verdict: Verdict) -> dict[str, Any]:
    why = {'reason': verdict.reason, 'because': verdict.because}
    return {**why, 'rule': verdict.rule} if verdict.rule else why


def _locks(repository: Repository, manifest: Manifest, tag: str | None = None) -> dict[str, Any]:
    """What has to be unlocked first: `manifest FLAG=false` or `tag NAME FLAG=false` for each flag."""
    locked = [f'{what} {flag}' for what, locks in locks_of(repository, manifest, tag) for flag in locks.flags]
    return {'locks': locked} if locked else {}


def _tags_to_delete(decision: Decision, repository: Repository) -> int:
    """Tags that go with their manifest, and tags that are removed alone."""
    return sum(len(repository.manifests[digest].tags) for digest in decision.doomed_in(repository.name)) + sum(
        1 for _ in decision.untagged_in(repository)
    )


def _summary(decision: Decision, impact: Impact, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    verdicts = [verdict for verdicts in decision.verdicts.values() for verdict in verdicts.values()]
    kept = Counter(verdict.reason for verdict in verdicts if verdict.kept)
    return {
        'repositories': len(rows),
        'manifests': len(verdicts),
        **{key: sum(row[key] for row in rows) for key in ('manifestsToDelete', 'tagsToDelete')},
        'manifestsKept': sum(kept.values()),
        'keptByReason': dict(sorted(kept.items())),
        'registryBytes': impact.registry,
        'freedBytes': impact.freed,
        'freedManifestBytes': impact.freed_manifests,
        'sharedBytes': impact.shared,
    }


def _warning(warning: Notice) -> dict[str, Any]:
    fields = asdict(warning)
    return {key: fields[key] for key in ('code', 'repository', 'digest', 'message')}


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its checksum added."""
    return {**document, _KEY: _checksum(document)}


def is_sealed(document: dict[str, Any]) -> bool:
    """Whether a document still matches its checksum."""
    return document.get(_KEY) == _checksum(document)


def _checksum(document: dict[str, Any]) -> str:
    seal = hashlib.sha256()
    for key in sorted(key for key in document if key not in _UNSEALED):
        seal.update(_canonical(key))
        for part in _parts(document[key]):
            seal.update(_canonical(part))
    return f'sha256:{seal.hexdigest()}'


def _parts(value: Any) -> Iterator[Any]:
    """A value in parts that are encoded one by one. The text of a whole list could be very large."""
    if not isinstance(value, list):
        yield value
        return
    for start in range(0, len(value), _BATCH):
        yield value[start : start + _BATCH]


def _canonical(value: Any) -> bytes:
    """The value as one line of JSON, ended by a line break. The JSON itself has no line breaks."""
    return _ENCODER.encode(value).encode() + b'\n'
