"""A report on a whole registry, schema version 1. The HTML file shows only what is in this document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from heapq import nlargest
from itertools import groupby
from typing import Any

from ..decide.impact import Node, kind_of_freed, kind_of_held
from ..documents.cost import Price, account_fields, cost_fields
from ..documents.layers import Names, layer_row, layer_uses
from ..documents.planned import Plan
from ..exit_reasons import reason_of_reading
from ..model import Account, Inventory
from .fields import image_fields, largest, not_read, registry_counts, repository_row, shown_warnings, sums
from .stakes import FREED, STATES, Stake, View
from .timeline import appearances, growth, unneeded_ages

SCHEMA_VERSION = 1

# The file stays under 5 MB however large the registry is: what is beyond these numbers is drawn and listed as a sum.
REPOSITORIES_DRAWN = 40
IMAGES_DRAWN = 600
REPOSITORIES_LISTED = 1_000
IMAGES_LISTED = 300
LAYERS_LISTED = 100

_TOLD = 10
"""So many repositories, warnings and names are in the answer of the command: all else is in the file."""


def report_document(
    inventory: Inventory,
    plan: Plan | None,
    created_at: str,
    now: int,
    account: Account = Account(),
    price: Price | None = None,
) -> dict[str, Any]:
    """The report as JSON-ready data; sizes are bytes, `now` is in ticks.

    `impact` says what the bytes are that the plan frees, and `heldImpact` what all others are.

    The bytes of `states`, of the cells of `treemap`, of `growth` and of all repositories add up to `registryBytes`,
    each by itself. What the plan frees is counted on the registry as it is now.
    """
    view = View(inventory, plan, now)
    stakes = list(view.stakes())
    names = Names(view.repositories)
    summary, held = _summary(view, stakes), kind_of_held(inventory, view.ledger)
    impact = kind_of_freed(inventory, view.ledger, view.doomed)
    registry_bytes = summary['registryBytes']
    return {
        'schemaVersion': SCHEMA_VERSION,
        'registry': inventory.registry,
        'createdAt': created_at,
        'impact': impact,
        'heldImpact': held,
        'notRead': not_read(view),
        'plan': _plan(plan),
        'summary': summary,
        'account': account_fields(account, registry_bytes, held),
        'cost': cost_fields(account, registry_bytes if held == 'exact' else None, price, summary['freedBytes']),
        'states': list(_states(stakes)),
        'treemap': _treemap(stakes, names),
        'growth': growth(inventory, view.ledger, appearances(inventory, now)),
        'unneededAges': unneeded_ages(stakes, view.unneeded, view.ledger, now),
        **_lists(view, stakes, names),
        **shown_warnings(view, list(_plan_warnings(view))),
    }


def report_answer(document: Mapping[str, Any], file: str) -> dict[str, Any]:
    """What the command answers with: the file, and its numbers in short."""
    keys = ('schemaVersion', 'registry', 'createdAt', 'impact', 'heldImpact', 'account', 'cost', 'repositories')
    plan, summary, repositories = document['plan'], document['summary'], document['repositories']
    others = [*repositories[_TOLD:], *filter(None, [document['otherRepositories']])]
    return {
        **{key: document[key] for key in keys},
        'file': file,
        'plan': plan and {key: value for key, value in plan.items() if key != 'policy'},
        'summary': {**summary, 'notRead': len(document['notRead'])},
        'repositories': repositories[:_TOLD],
        'otherRepositories': other_repositories(others),
        'notRead': document['notRead'][:_TOLD],
        'warnings': document['warnings'][:_TOLD],
        'otherWarnings': document['otherWarnings'] + len(document['warnings'][_TOLD:]),
        'exitReason': reason_of_reading(document),
    }


def _lists(view: View, stakes: list[Stake], names: Names) -> dict[str, Any]:
    repositories = _repositories(view, stakes)
    return {
        'repositories': repositories[:REPOSITORIES_LISTED],
        'otherRepositories': other_repositories(repositories[REPOSITORIES_LISTED:]),
        'images': _images(view, stakes, names),
        'layers': _layers(view, names),
    }


def _plan(plan: Plan | None) -> dict[str, Any] | None:
    if plan is None:
        return None
    document = plan.document
    kept = ('manifestsToDelete', 'tagsToDelete', 'freedBytes', 'softDeleteRetentionDays')
    return {
        'createdAt': document['createdAt'],
        'policy': document['policy'],
        **{key: document['summary'].get(key) for key in kept},
    }


def _summary(view: View, stakes: list[Stake]) -> dict[str, Any]:
    impact = view.ledger.impact(view.doomed)
    return {
        **registry_counts(view),
        'unneededBytes': sum(stake.size for stake in stakes if (stake.repository, stake.digest) in view.unneeded),
        'manifestsToDelete': len(view.doomed) if view.plan else None,
        'freedBytes': impact.freed if view.plan else None,
        'sharedBytes': impact.shared if view.plan else None,
    }


def _states(stakes: list[Stake]) -> Iterator[dict[str, Any]]:
    """Each state that has some bytes, with the reasons for it."""
    sizes: Counter = Counter()
    images: Counter = Counter()
    for stake in stakes:
        for key in ((stake.state, None), (stake.state, stake.reason)):
            sizes[key] += stake.size
            images[key] += 1
    for state in STATES:
        if (state, None) in sizes:
            reasons = sorted(
                (key for key in sizes if key[0] == state and key[1]), key=lambda key: (-sizes[key], key[1])
            )
            yield {
                'state': state,
                'bytes': sizes[state, None],
                'images': images[state, None],
                'reasons': [{'reason': key[1], 'bytes': sizes[key], 'images': images[key]} for key in reasons],
            }


def _treemap(stakes: list[Stake], names: Names) -> list[dict[str, Any]]:
    """The largest repositories with their largest images, and sums of all others.

    A sum of images has the `digest` None. The repositories that are not drawn one by one are a group with `repository`
    None.
    """
    of_repository: Counter = Counter()
    for stake in stakes:
        of_repository[stake.repository] += stake.size
    drawn = set(largest(of_repository, REPOSITORIES_DRAWN))
    candidates = (stake for stake in stakes if stake.repository in drawn)
    single = set(nlargest(IMAGES_DRAWN, candidates, key=lambda stake: stake.size))
    groups: dict[str | None, list[Stake]] = {}
    for stake in stakes:
        groups.setdefault(stake.repository if stake.repository in drawn else None, []).append(stake)
    rows = [
        {
            'repository': name,
            'repositories': 1 if name is not None else len(of_repository) - len(drawn),
            'bytes': sum(stake.size for stake in group),
            'cells': _cells(name, group, single, names),
        }
        for name, group in groups.items()
    ]
    return sorted(rows, key=lambda row: (row['repository'] is None, -row['bytes'], row['repository'] or ''))


def _cells(repository: str | None, group: list[Stake], single: set[Stake], names: Names) -> list[dict[str, Any]]:
    cells = [
        {
            **names.fields(stake.repository, stake.digest),
            'state': stake.state,
            'reason': stake.reason,
            'because': stake.because,
            'bytes': stake.size,
            'images': 1,
        }
        for stake in group
        if stake in single
    ]
    rest: dict[str, list[int]] = {}
    for stake in group:
        if stake not in single:
            rest.setdefault(stake.state, []).append(stake.size)
    cells += [
        {'repository': repository, 'digest': None, 'state': state, 'bytes': sum(sizes), 'images': len(sizes)}
        for state, sizes in rest.items()
    ]
    return sorted(
        cells,
        key=lambda cell: (STATES.index(cell['state']), cell['digest'] is None, -cell['bytes'], cell['digest'] or ''),
    )


def _repositories(view: View, stakes: list[Stake]) -> list[dict[str, Any]]:
    """A row for each repository, those with the most bytes first.

    `attributedBytes` and `attributedFreedBytes` add up over the registry. `uniqueBytes` would be freed if the whole
    repository went, `freedBytes` if only its part of the plan were carried out.
    """
    attributed: Counter = Counter()
    freed: Counter = Counter()
    for stake in stakes:
        attributed[stake.repository] += stake.size
        freed[stake.repository] += stake.size if stake.state == FREED else 0
    doomed: dict[str, list[Node]] = {}
    for node in view.doomed:
        doomed.setdefault(node[0], []).append(node)
    rows = [repository_row(view, repository, attributed[repository.name]) for repository in view.repositories]
    for row in rows if view.plan else ():
        nodes = doomed.get(row['repository'], [])
        row.update(
            manifestsToDelete=len(nodes),
            attributedFreedBytes=freed[row['repository']],
            freedBytes=view.ledger.bytes_freed_by(nodes),
            freedImpact=kind_of_freed(view.inventory, view.ledger, nodes),
        )
    return sorted(rows, key=lambda row: (-row['attributedBytes'], row['repository']))


def other_repositories(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The sums of repositories that have no row; some may be sums already."""
    adding = (
        'manifests',
        'manifestsTagged',
        'manifestsUntagged',
        'attributedBytes',
        'manifestsToDelete',
        'attributedFreedBytes',
    )
    number = sum(row.get('repositories', 1) for row in rows)
    return {'repositories': number, **sums(rows, adding)} if rows else None


def _images(view: View, stakes: list[Stake], names: Names) -> list[dict[str, Any]]:
    """The images with the most bytes, whether they go or stay."""
    of_image: Counter[Node] = Counter()
    fates: dict[Node, list[Stake]] = {}
    for image, group in groupby(stakes, key=lambda stake: (stake.repository, stake.digest)):
        fates[image] = list(group)
        of_image[image] = sum(stake.size for stake in fates[image])
    rows = []
    for node in largest(of_image, IMAGES_LISTED):
        first = fates[node][0]
        rows.append(
            {
                **image_fields(view, names, node),
                'state': first.state,
                'reason': first.reason,
                'because': first.because,
                'attributedBytes': of_image[node],
                'attributedFreedBytes': sum(stake.size for stake in fates[node] if stake.state == FREED),
            }
        )
    return rows


def _layers(view: View, names: Names) -> list[dict[str, Any]]:
    """The largest blobs and the images that share them.

    `imagesToDelete` counts the images that the plan deletes. The layer is `freed` when it deletes all of them.
    """
    rows = []
    for digest, use in layer_uses(
        largest(view.ledger.sizes, LAYERS_LISTED), view.repositories, view.doomed.__contains__
    ).items():
        row = layer_row(view.ledger.sizes[digest], digest, use, names)
        if view.plan:
            row.update(imagesToDelete=use.to_delete, freed=use.to_delete == use.images)
        rows.append(row)
    return rows


def _plan_warnings(view: View) -> Iterator[dict[str, Any]]:
    """Warnings about a plan that no longer fits the registry."""
    if view.plan is None:
        return
    freed, promised = view.ledger.bytes_freed_by(view.doomed), view.plan.document['summary']['freedBytes']
    if view.gone:
        yield _warning('planOutdated', f'{view.gone} of the manifests in the plan are no longer there.')
    if freed != promised:
        yield _warning(
            'planOutdated',
            f'The plan was made to free {promised} bytes; as the registry is now, it frees {freed} bytes.',
        )


def _warning(code: str, message: str) -> dict[str, Any]:
    return {'code': code, 'repository': None, 'digest': None, 'message': message}
