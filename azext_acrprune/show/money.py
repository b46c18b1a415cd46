"""What storage is used, what it costs and what a plan saves, in a sentence each."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ..model import BOUNDS
from ..spelling import visible
from .sizes import human_size

_MAY_BE = {
    'softDeleted': 'soft-deleted images',
    'uploads': 'uploads that no manifest uses',
    'replicas': 'replicas',
    'unread': 'what could not be read',
    'countedLater': 'what Azure counts with a delay',
}


def account_line(account: dict[str, Any]) -> str:
    """The used bytes, their limit, and how many of them are accounted for."""
    if account['usedBytes'] is None:
        return str(account['why'] or 'The real usage is not known.')
    of_limit = f' of {human_size(account["limitBytes"])}' if account['limitBytes'] is not None else ''
    regions = account['regions'] or 1
    times = f' in {regions} regions' if regions > 1 else ''
    line = (
        f'Azure says that {human_size(account["usedBytes"])}{of_limit} are used: manifests and layers account for '
        f'{human_size(account["accountedBytes"])}{times}'
    )
    rest = account['unaccountedBytes']
    if not rest:
        return f'{line}, which is all.'
    causes = ', '.join(_MAY_BE[each] for each in account['unaccountedMayBe'])
    return f'{line}, {human_size(abs(rest))} {"more than it says" if rest < 0 else "are not accounted for"} ({causes}).'


def cost_line(cost: dict[str, Any]) -> str:
    """What the whole storage costs in a month, or why that is not known."""
    if cost['perMonth'] is None:
        return str(cost['why'])
    if not cost['billedBytes']:
        return (
            f'Cost of storage: nothing, for the {human_size(cost["usedBytes"])} that are used lie within the '
            f'{_included(cost)}{_by(cost)}.'
        )
    beyond = f'{human_size(cost["billedBytes"])} of {human_size(cost["usedBytes"])} are beyond the {_included(cost)}'
    return (
        f'Cost of storage: {_amount(cost, "perMonth")} in {cost["daysPerMonth"]} days, at '
        f'{_with_currency(cost, cost["pricePerGiBDay"])} for a GiB and day: {beyond}{_by(cost)}.'
    )


def saving_line(cost: dict[str, Any], impact: str) -> str:
    """What a plan saves in a month, or why that is not known."""
    if cost['savedPerMonth'] is None:
        return f'What that saves is not known. {cost["why"]}'
    if not cost['savedBilledBytes']:
        return f'That saves nothing: it lies within the {_included(cost)}{_by(cost)}.'
    most = BOUNDS[impact]
    return (
        f'That saves {most}{_amount(cost, "savedPerMonth")} in {cost["daysPerMonth"]} days, at '
        f'{_with_currency(cost, cost["pricePerGiBDay"])} for a GiB and day.'
    )


def _included(cost: dict[str, Any]) -> str:
    return f'{human_size(cost["includedBytes"])} that {cost["sku"]} includes'


def _by(cost: dict[str, Any]) -> str:
    return '' if cost['usedBytesBy'] == 'showUsage' else ', by what manifests and layers take'


def _amount(cost: dict[str, Any], key: str) -> str:
    amount = Decimal(cost[key])
    cents = amount.quantize(Decimal('0.01'), ROUND_HALF_UP)
    return f'under {_with_currency(cost, "0.01")}' if amount and not cents else _with_currency(cost, format(cents, ','))


def _with_currency(cost: dict[str, Any], number: str) -> str:
    return f'{number} {visible(cost["currency"])}'.rstrip()
