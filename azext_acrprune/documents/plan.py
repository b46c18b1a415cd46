"""The plan document, schema version 1."""
from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any, Dict, Iterator, List, Optional, Set

from ..decide.decision import Decision
from ..decide.graph import Graph, build_graph
from ..decide.health import BROKEN, MISSING_CHILDREN, content_findings
from ..decide.impact import Impact, Ledger, falls_with, open_ledger
from ..decide.verdicts import Verdict, locks_of
from ..model import Account, Inventory, Manifest, Notice, NotRead, Repository, Tag, Unreadable, time_text
from .checksum import sealed
from .cost import Price, cost_fields
from .groups import grouped
from .shared import shared_layers

SCHEMA_VERSION = 1


def plan_document(decision: Decision, created_at: str, show_kept: bool = False,
                  soft_delete_days: Optional[int] = None, group_by: Optional[str] = None,
                  price: Optional[Price] = None, account: Optional[Account] = None) -> Dict[str, Any]:
    """The plan as JSON-ready data, schema version 1.

    The same decision gives the same document, `createdAt` apart. `freedBytes` of one repository is what its part
    of the plan frees by itself; layers that only several repositories together free are in the total alone. With
    `group_by` it has `groups` too, and with a `price` its `cost`.
    """
    ledger = open_ledger(decision.inventory)
    writer = _Writer(decision, ledger)
    doomed = decision.doomed_in_order()
    impact = ledger.impact(doomed)
    document = {
        'schemaVersion': SCHEMA_VERSION,
        'registry': decision.inventory.registry,
        'createdAt': created_at,
        'policy': {**decision.given, **decision.pins.shown},
        'impact': kind_of_impact(decision.inventory, ledger),
        'summary': {**_summary(decision, impact, len(doomed)), 'softDeleteRetentionDays': soft_delete_days},
        'repositories': [writer.repository(repository, impact) for repository in writer.repositories],
        'delete': [entry for repository in writer.repositories for entry in writer.deletes(repository)],
        'untag': [entry for repository in writer.repositories for entry in writer.untags(repository)],
        'sharedLayers': shared_layers(decision, ledger, impact.staying),
        'warnings': [_warning(warning) for warning in writer.warnings()],
    }
    if group_by:
        document.update(groupBy=group_by, groups=grouped(decision, ledger, group_by))
    if price:
        registry_bytes = impact.registry if document['impact'] == 'exact' else None
        document['cost'] = cost_fields(account or Account(), registry_bytes, price, impact.freed)
    if show_kept:
        document['kept'] = [entry for repository in writer.repositories for entry in writer.kept(repository)]
    return sealed(document)


def warnings_of(decision: Decision, ledger: Ledger) -> List[Dict[str, Any]]:
    """The `warnings` of a plan: what the scan met, and what is wrong in the registry; in stable order."""
    return [_warning(warning) for warning in _Writer(decision, ledger).warnings()]


def kind_of_impact(inventory: Inventory, ledger: Ledger) -> str:
    """`exact` when every manifest that may use a layer was read and all agree about sizes, else `upperBound`."""
    exact = inventory.complete and ledger.consistent and not any(
        isinstance(manifest.content, (Unreadable, NotRead))
        for repository in inventory.repositories for manifest in repository.manifests.values())
    return 'exact' if exact else 'upperBound'


class _Writer:
    """Writes the entries of one plan; holds what they all look up."""

    def __init__(self, decision: Decision, ledger: Ledger) -> None:
        self.repositories: List[Repository] = sorted(decision.inventory.repositories, key=lambda item: item.name)
        self._decision = decision
        self._ledger = ledger
        self._graphs: Dict[str, Graph] = {}

    def graph(self, repository: Repository) -> Graph:
        if repository.name not in self._graphs:
            self._graphs[repository.name] = build_graph(repository)
        return self._graphs[repository.name]

    def repository(self, repository: Repository, impact: Impact) -> Dict[str, Any]:
        return {
            'name': repository.name,
            'manifests': len(repository.manifests),
            'manifestsToDelete': len(self._decision.doomed_in(repository.name)),
            'tagsToDelete': _tags_to_delete(self._decision, repository),
            'freedBytes': impact.alone.get(repository.name, 0),
        }

    def deletes(self, repository: Repository) -> Iterator[Dict[str, Any]]:
        doomed = self._decision.doomed_in(repository.name)
        graph = self.graph(repository) if doomed else None
        verdicts = self._decision.verdicts[repository.name]
        for digest in sorted(doomed):
            manifest = repository.manifests[digest]
            yield {
                **_identity(repository, manifest),
                'mediaType': manifest.media_type,
                'artifactType': manifest.artifact_type,
                'createdTime': manifest.created_time,
                'lastUpdateTime': manifest.last_update_time,
                'imageSize': manifest.image_size,
                'uniqueBytes': self._unique_bytes(repository.name, digest, graph, doomed),
                **_why(verdicts[digest]),
                **_locks(repository, manifest),
                **self._pulled(repository, digest),
            }

    def untags(self, repository: Repository) -> Iterator[Dict[str, Any]]:
        for tag, digest, verdict in self._decision.untagged_in(repository):
            known = repository.tags.get(tag) or Tag(tag, digest)
            yield {'repository': repository.name, 'tag': tag, 'digest': digest,
                   'lastUpdateTime': known.last_update_time, **_why(verdict),
                   **_locks(repository, repository.manifests[digest], tag)}

    def kept(self, repository: Repository) -> Iterator[Dict[str, Any]]:
        for digest, verdict in self._decision.verdicts[repository.name].items():
            if verdict.kept:
                yield {**_identity(repository, repository.manifests[digest]), **_why(verdict),
                       **self._pulled(repository, digest)}

    def _pulled(self, repository: Repository, digest: str) -> Dict[str, Any]:
        at = self._decision.inventory.pulled.get(repository.name, {}).get(digest)
        return {} if at is None else {'lastPulledTime': time_text(at)}

    def warnings(self) -> List[Notice]:
        found = list(self._decision.inventory.warnings)
        found.extend(Notice(problem.code, str(problem)) for problem in self._decision.pins.problems)
        found.extend(Notice(finding.code, finding.message, finding.repository, finding.digest)
                     for finding in content_findings(self.repositories, self.graph, self._stays, self.repositories,
                                                     self._ledger.consistent)
                     if finding.code != MISSING_CHILDREN or finding.severity == BROKEN)
        return sorted(found, key=lambda item: (item.repository or '', item.digest or '', item.code, item.message))

    def _stays(self, repository: str, digest: str) -> bool:
        return self._decision.verdicts[repository][digest].kept

    def _unique_bytes(self, repository: str, digest: str, graph: Graph, doomed: Set[str]) -> int:
        if digest not in graph.children and digest not in graph.referrers:  # as with most: nothing falls with it
            return self._ledger.bytes_freed_by_one(repository, digest)
        return self._ledger.bytes_freed_by((repository, fallen) for fallen in falls_with(digest, graph, doomed))


def _identity(repository: Repository, manifest: Manifest) -> Dict[str, Any]:
    return {'repository': repository.name, 'digest': manifest.digest, 'tags': list(manifest.tags)}


def _why(verdict: Verdict) -> Dict[str, Any]:
    why = {'reason': verdict.reason, 'because': verdict.because}
    return {**why, 'rule': verdict.rule} if verdict.rule else why


def _locks(repository: Repository, manifest: Manifest, tag: Optional[str] = None) -> Dict[str, Any]:
    """What has to be unlocked first: `manifest FLAG=false` or `tag NAME FLAG=false` for each flag."""
    locked = [f'{what} {flag}' for what, locks in locks_of(repository, manifest, tag) for flag in locks.flags]
    return {'locks': locked} if locked else {}


def _tags_to_delete(decision: Decision, repository: Repository) -> int:
    """Tags that go with their manifest, and tags that are removed alone."""
    return (sum(len(repository.manifests[digest].tags) for digest in decision.doomed_in(repository.name))
            + sum(1 for _ in decision.untagged_in(repository)))


def _summary(decision: Decision, impact: Impact, doomed: int) -> Dict[str, Any]:
    verdicts = [verdict for verdicts in decision.verdicts.values() for verdict in verdicts.values()]
    kept = Counter(verdict.reason for verdict in verdicts if verdict.kept)
    repositories = decision.inventory.repositories
    return {
        'repositories': len(repositories),
        'manifests': len(verdicts),
        'manifestsToDelete': doomed,
        'tagsToDelete': sum(_tags_to_delete(decision, repository) for repository in repositories),
        'manifestsKept': sum(kept.values()),
        'keptByReason': dict(sorted(kept.items())),
        'registryBytes': impact.registry,
        'freedBytes': impact.freed,
        'freedManifestBytes': impact.freed_manifests,
        'sharedBytes': impact.shared,
    }


def _warning(warning: Notice) -> Dict[str, Any]:
    fields = asdict(warning)
    return {key: fields[key] for key in ('code', 'repository', 'digest', 'message')}
