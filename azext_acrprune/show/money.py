"""What storage is used, what it costs and what a plan saves, in a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ..model import BOUNDS
from ..spelling import visible
from .sizes import freed_size, human_size

_MAY_BE = {
    'softDeleted': 'soft-deleted images',
    'uploads': 'uploads that no manifest uses',
    'unread': 'what could not be read',
    'countedLater': 'what Azure counts with a delay',
}


_SINCE_MAY_BE = {
    **_MAY_BE,
    'softDeleted': 'soft delete, which keeps it for some days',
    'pushes': 'what was pushed or brought back since',
    'replicas': 'replicas that have not followed',
    'bound': 'the promise was no exact number',
    'retention': 'what the retention policy deleted',
    'deletions': 'what others deleted since',
}


def since_lines(since: dict[str, Any] | None) -> list[str]:
    """What the last run promised, beside what Azure says since; nothing where that is not known."""
    if since is None:
        return []
    freed = freed_size(since['freedBytes'], since['impact'])
    line = f'The last run ({since["run"]}) freed {freed}; since then the number of Azure {_went(since)}'
    bill = ' The bill stops at once, the number follows later.' if since['restBytes'] > 0 else ''
    return [f'{line}{bill}']


def since_line(since: dict[str, Any]) -> str:
    """By how much the number of Azure went down since a run, in a few words for a screen that tells of the run."""
    return f'its number {_went(since, " until the next run" if since["until"] else " since")}'


def _went(since: dict[str, Any], until: str = '') -> str:
    """How far the number of Azure went, and what the rest of the promise may be."""
    less, rest = since['lessBytes'], since['restBytes']
    went = f'went down by {human_size(less)}' if less >= 0 else f'went up by {human_size(-less)}'
    went += until
    if not rest:
        return f'{went}, which is all of it.'
    causes = ', '.join(_SINCE_MAY_BE[each] for each in since['restMayBe'])
    return f'{went}. The difference of {human_size(abs(rest))} may be: {causes}.'


def account_line(account: dict[str, Any]) -> str:
    """The used bytes, their limits, and how many of them are accounted for."""
    if account['usedBytes'] is None:
        return str(account['why'] or 'The real usage is not known.')
    here = '' if account['regions'] == 1 else ' in the home region'
    line = (
        f'Azure says that {human_size(account["usedBytes"])} are used{here}{_limits(account)}: manifests and layers '
        f'account for {human_size(account["accountedBytes"])}'
    )
    rest = account['unaccountedBytes']
    if not rest:
        return f'{line}, which is all.'
    causes = ', '.join(_MAY_BE[each] for each in account['unaccountedMayBe'])
    return f'{line}, {human_size(abs(rest))} {"more than it says" if rest < 0 else "are not accounted for"} ({causes}).'


def _limits(account: dict[str, Any]) -> str:
    """What the SKU includes, and the most that the registry may store, as far as Azure says."""
    told = [
        text.format(human_size(account[key]))
        for key, text in (('includedBytes', '{} are included'), ('limitBytes', 'the limit is {}'))
        if account[key] is not None
    ]
    return f' ({", ".join(told)})' if told else ''


def price_lines(cost: dict[str, Any]) -> list[str]:
    """What the whole storage costs; nothing where nobody gave a price."""
    return [cost_line(cost)] if cost['pricePerGiBDay'] is not None else []


def cost_line(cost: dict[str, Any]) -> str:
    """What the whole storage costs in a month, or why that is not known."""
    if cost['perMonth'] is None:
        return str(cost['why'])
    if not cost['billedBytes']:
        return (
            f'Cost of storage: nothing, for the {human_size(cost["usedBytes"])} that are used{_in_regions(cost)} lie '
            f'within the {_included(cost)}{_by(cost)}.'
        )
    used = f'{human_size(cost["usedBytes"])}{_in_regions(cost)}'
    beyond = f'{human_size(cost["billedBytes"])} of {used} are beyond the {_included(cost)}'
    return (
        f'Cost of storage: {in_currency(cost, "perMonth")} in {cost["daysPerMonth"]} days, at '
        f'{_with_currency(cost, cost["pricePerGiBDay"])} for a GiB and day: {beyond}{_by(cost)}.'
    )


def fleet_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What several registries use, and what that costs and a plan saves, as far as it is known."""
    read = [row for row in document['registries'] if row['error'] is None]
    number = len(document['registries'])
    told = [row['usedBytes'] for row in read if row['usedBytes'] is not None]
    if told:
        yield f'Azure says that {human_size(sum(told))} are used{_of_some(len(told), number)}.'
    cost = document['cost']
    if cost is None:
        return
    known = len(read) - cost['costsUnknown']
    if cost['perMonth'] is not None:
        amount = in_currency(cost, 'perMonth')
        yield f'Cost of storage: {amount} in {cost["daysPerMonth"]} days{_of_some(known, number)}.'
    if cost['savedPerMonth'] is not None:
        yield f'The plans save {BOUNDS[document["impact"]]}{in_currency(cost, "savedPerMonth")} of it.'


def _of_some(known: int, number: int) -> str:
    """Of how many registries something is known; nothing where it is of all."""
    return '' if known == number else f', in {known} of {number} registries'


def saving_line(cost: dict[str, Any], impact: str) -> str:
    """What a plan saves in a month, or why that is not known."""
    if cost['savedPerMonth'] is None:
        return f'What that saves is not known. {cost["why"]}'
    if not cost['savedBilledBytes']:
        return f'That saves nothing: it lies within the {_included(cost)}{_by(cost)}.'
    most = BOUNDS[impact]
    return (
        f'That saves {most}{in_currency(cost, "savedPerMonth")} in {cost["daysPerMonth"]} days, at '
        f'{_with_currency(cost, cost["pricePerGiBDay"])} for a GiB and day.'
    )


def _included(cost: dict[str, Any]) -> str:
    return f'{human_size(cost["includedBytes"])} that {cost["sku"] or "the registry"} includes'


def _in_regions(cost: dict[str, Any]) -> str:
    """The bill counts each byte once for each region."""
    regions = cost['regions'] or 1
    return f' in {regions} regions' if regions > 1 else ''


def _by(cost: dict[str, Any]) -> str:
    return '' if cost['usedBytesBy'] == 'showUsage' else ', by what manifests and layers take'


def in_currency(cost: Mapping[str, Any], key: str) -> str:
    """An amount of money in cents, with its currency."""
    amount = Decimal(cost[key])
    cents = amount.quantize(Decimal('0.01'), ROUND_HALF_UP)
    return f'under {_with_currency(cost, "0.01")}' if amount and not cents else _with_currency(cost, format(cents, ','))


def _with_currency(cost: Mapping[str, Any], number: str) -> str:
    return f'{number} {visible(cost["currency"])}'.rstrip()
