"""What is wrong in a registry as a document, schema version 1, and what of it is new after a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..decide.bonds import kept_by
from ..decide.ghosts import with_doubtful_ghosts
from ..decide.graph import Graph, build_graph, user_tags
from ..decide.health import BROKEN, LOCK_CODES, Everywhere, Finding, IsOurs, content_findings, other_findings
from ..decide.impact import open_ledger
from ..decide.owed import owed_findings
from ..decide.verdicts import lock_on
from ..exit_reasons import DONE, SOMETHING_BROKEN, SOMETHING_UNREAD, first_of, is_unread
from ..model import Inventory, Repository, in_order, parse_ticks
from .mends import Mends

SCHEMA_VERSION = 1

FindingKey = tuple[str, str, str, str]


class _View:
    """The findings in some repositories of a registry."""

    def __init__(self, inventory: Inventory, everywhere: Everywhere, is_ours: IsOurs) -> None:
        self._everywhere = everywhere
        self.repositories = in_order(inventory.repositories)
        self._graphs: dict[str, Graph] = {}
        needed = {repository.name: _needed(repository, self.graph(repository)) for repository in self.repositories}
        self.findings: list[Finding] = sorted(
            (
                *content_findings(
                    self.repositories,
                    self.graph,
                    lambda name, digest: digest in needed[name],
                    everywhere,
                    open_ledger(inventory).consistent,
                ),
                *other_findings(self.repositories, self.graph, everywhere, is_ours),
                *owed_findings(inventory),
            ),
            key=_key,
        )

    def graph(self, repository: Repository) -> Graph:
        if repository.name not in self._graphs:
            self._graphs[repository.name] = build_graph(repository)
        return self._graphs[repository.name]

    def entries(self, findings: Iterable[Finding], target: Sequence[str], now: int | None) -> list[dict[str, Any]]:
        mends = Mends(self.repositories, self.graph, self._everywhere, target, now)
        return [
            {
                'code': finding.code,
                'severity': finding.severity,
                'repository': finding.repository,
                'digest': finding.digest,
                'tag': finding.tag,
                'message': finding.message,
                'mend': mends.of(finding),
                'data': dict(finding.data),
            }
            for finding in findings
        ]


def nothing_is_ours(_: str, __: str) -> bool:
    return False


def check_document(
    inventory: Inventory, created_at: str, target: Sequence[str], is_ours: IsOurs = nothing_is_ours
) -> dict[str, Any]:
    """Everything that is wrong in the repositories of the inventory, as JSON-ready data.

    The same registry gives the same document, `createdAt` apart: findings are in order of repository, digest, code and
    tag. `target` is how the commands that mend name the registry.
    """
    now = parse_ticks(created_at)
    view = _View(inventory, _everywhere(inventory, now), is_ours)
    entries = view.entries(view.findings, target, now)
    document = {
        'schemaVersion': SCHEMA_VERSION,
        'registry': inventory.registry,
        'createdAt': created_at,
        'summary': {
            'repositories': len(view.repositories),
            'manifests': sum(len(repository.manifests) for repository in view.repositories),
            'findings': len(entries),
            'broken': _broken(view.findings),
            'findingsByCode': dict(sorted(Counter(finding.code for finding in view.findings).items())),
        },
        'findings': entries,
        'warnings': [
            {'code': notice.code, 'repository': notice.repository, 'digest': notice.digest, 'message': notice.message}
            for notice in inventory.warnings
        ],
    }
    found = {SOMETHING_BROKEN: _broken(view.findings), SOMETHING_UNREAD: is_unread(document)}
    return {**document, 'exitReason': first_of(found) or DONE}


def validation_document(
    before: Inventory,
    after: Sequence[Repository],
    touched: Sequence[str],
    target: Sequence[str],
    now: int | None = None,
    is_ours: IsOurs = nothing_is_ours,
) -> dict[str, Any]:
    """What is wrong in the `touched` repositories after a run. Findings that are new are in `new` too.

    `before` is the whole registry as it was scanned. `after` has the touched repositories as they are now, without
    those that are gone.
    """
    others = [repository for repository in before.repositories if repository.name not in touched]
    seen = [repository for repository in before.repositories if repository.name in touched]
    old = _View(_only(before, seen), _everywhere(before, now), is_ours)
    new = _View(_only(before, after), _everywhere(replace(before, repositories=(*others, *after)), now), is_ours)
    with_tags = {repository.name for repository in seen if repository.tags}
    known = {(_key(finding), finding.severity) for finding in old.findings}
    news = [
        finding
        for finding in new.findings
        if (_key(finding), finding.severity) not in known
        and (finding.code not in LOCK_CODES or finding.repository in with_tags)
    ]
    return {
        'repositories': sorted(touched),
        'broken': _broken(new.findings),
        'newBroken': _broken(news),
        'findings': new.entries(new.findings, target, now),
        'new': new.entries(news, target, now),
    }


def _everywhere(inventory: Inventory, now: int | None) -> Everywhere:
    """Where subjects may be. One that answers 404 for the moment is there all the same."""
    return Everywhere.of(with_doubtful_ghosts(inventory, None, now or 0))


def _needed(repository: Repository, graph: Graph) -> set[str]:
    """The digests that have a user tag or a lock, and all that these need."""
    roots = [
        digest
        for digest, manifest in sorted(repository.manifests.items())
        if user_tags(manifest) or lock_on(repository, manifest)
    ]
    return {*roots, *kept_by(roots, graph)}


def _only(inventory: Inventory, repositories: Sequence[Repository]) -> Inventory:
    return Inventory(inventory.registry, tuple(repositories), frozenset(each.name for each in repositories))


def _broken(findings: Iterable[Finding]) -> int:
    return sum(finding.severity == BROKEN for finding in findings)


def _key(finding: Finding) -> FindingKey:
    return finding.repository, finding.digest, finding.code, finding.tag or ''
