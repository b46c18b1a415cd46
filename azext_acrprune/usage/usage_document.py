"""How much of a registry each repository, image, layer or pattern of tags uses. Schema version 1."""

from __future__ import annotations

import sys
from typing import Any

from ..decide.impact import kind_of_held
from ..decide.named import Unsettled
from ..documents.cost import Price, account_fields, cost_fields
from ..documents.promised import since_fields
from ..exit_reasons import reason_of_reading
from ..model import Account, Document, Inventory
from ..pins.pulls import day_of
from .fields import not_read, registry_counts, shown_warnings
from .tag_patterns import pattern_rows
from .timeline import growth
from .usage_rows import Holdings, Log, image_rows, layer_rows, repository_rows

SCHEMA_VERSION = 1

KINDS = {'repository': repository_rows, 'image': image_rows, 'layer': layer_rows, 'tag-pattern': pattern_rows}
LISTED = 50
"""The number of rows without --top, except of repositories: there may be millions of images."""
_ALL = sys.maxsize


def usage_document(
    inventory: Inventory,
    by: str,
    top: int | None,
    created_at: str,
    now: int,
    account: Account = Account(),
    price: Price | None = None,
    log: Log | None = None,
    unsettled: Unsettled = lambda _: None,
    last_run: Document | None = None,
) -> dict[str, Any]:
    """The usage as JSON-ready data; sizes are bytes, `now` is in ticks.

    `heldImpact` says what the sums are, and `impact` of a row what its `uniqueBytes` and `attributedBytes` are: images
    that were not read are missing in all of them, and may share what others seem to have alone.

    Rows have the most bytes first. `attributedBytes` of all rows and of `otherRows`, which are the sum of those beyond
    `top`, add up to `registryBytes`; of layers only with `manifestBytes`, for a manifest is no layer. `last_run` is
    what the journal says of the last run that deleted something, as in `since_fields`.
    """
    known = Holdings(inventory, now, log, unsettled)
    registry_bytes = known.ledger.registry_bytes
    impact = kind_of_held(inventory, known.ledger)
    of_all = by == 'repository' if top is None else not top
    number = _ALL if of_all else top or LISTED
    rows, others = KINDS[by](known, number)
    document = {
        'schemaVersion': SCHEMA_VERSION,
        'registry': inventory.registry,
        'createdAt': created_at,
        'heldImpact': impact,
        'by': by,
        'summary': _summary(known),
        'growth': growth(inventory, known.ledger, known.appeared),
        'account': account_fields(account, registry_bytes, impact),
        'sinceLastRun': since_fields(last_run, account),
        'cost': cost_fields(account, registry_bytes if impact == 'exact' else None, price),
        'pulls': _pulls(log),
        'rows': rows,
        'otherRows': others,
        'notRead': not_read(known.view),
        **shown_warnings(known.view),
    }
    return {**document, 'exitReason': reason_of_reading(document)}


def _summary(known: Holdings) -> dict[str, int]:
    shares = known.of_repository.values()
    return {
        **registry_counts(known.view),
        'totalBytes': sum(share.total for share in shares),
        'manifestBytes': known.ledger.registry_bytes - sum(known.ledger.sizes.values()),
        'untaggedBytes': sum(share.untagged for share in shares),
        'unneededBytes': sum(share.unneeded for share in shares),
    }


def _pulls(log: Log | None) -> dict[str, Any] | None:
    if log is None:
        return None
    return {'workspace': log.workspace, 'logsSince': None if log.since is None else day_of(log.since)}
