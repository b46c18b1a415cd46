"""What the storage of a registry takes, what it costs, and what a plan saves.

There is a cost only where the user gives a price.
Azure bills the GiB beyond those that the SKU includes, by the day. The bill counts a byte once for each region that the
registry is in, and the quota counts it once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any

from ..model import Account

GIB = 1024**3
DAYS_PER_MONTH = 30
INCLUDED_GIB = {'Basic': 10, 'Standard': 100, 'Premium': 500}

SOFT_DELETED = 'softDeleted'
UPLOADS = 'uploads'
UNREAD = 'unread'
LATE = 'countedLater'
"""What the difference to Azure's number may be: soft-deleted images, uploads that no manifest uses yet, manifests that
could not be read, or changes that Azure counts later."""

_SMALLEST = Decimal('0.0001')
_EXACT = Context(prec=200)
"""It has more digits than any sum here, so that only `money` rounds."""

_PRICE = re.compile(r'([^0-9.,+-]*?)\s*([0-9]{1,9}(?:\.[0-9]{1,12})?)\s*([^0-9.,+-]*)')
_LONGEST_CURRENCY = 16

_UNIT = re.compile(r'(?:\s*[/·-]\s*|\s+(?:per|an?|and(?: a)?|for an?)\s+)([A-Za-z]+)\.?\Z')
_UNITS = {**dict.fromkeys(('gib', 'gb', 'gibibyte', 'gigabyte'), 'GiB'), **dict.fromkeys(('day', 'd'), 'day')}
_OTHER_UNITS = frozenset(
    ('h', 'hour', 'week', 'mo', 'month', 'y', 'yr', 'year', 'b', 'byte', 'kib', 'kb', 'mib', 'mb', 'tib', 'tb')
)


@dataclass(frozen=True)
class Price:
    """The price of a GiB and day beyond the included storage. `currency` is any short text, or empty."""

    amount: Decimal
    currency: str = ''


def parse_price(text: str) -> Price:
    """`0.003 USD`, `€0.003`, `0.003`, or any of these with `/GiB/day` or `per GiB and day`. Raises ValueError.

    Azure's price list says GB and means GiB.
    """
    match = _PRICE.fullmatch(_without_units(text.strip(), text))
    if not match or match[1] and match[3]:
        raise ValueError(f"'{text}' is not a number with a currency")
    currency = match[1] or match[3]
    if len(currency) > _LONGEST_CURRENCY or not currency.isprintable() or '/' in currency:
        raise ValueError('a currency is a short text')
    return Price(Decimal(match[2]), currency)


def _without_units(left: str, text: str) -> str:
    """What is left of a price without its units, which may come in any order. Raises ValueError for other units."""
    units = set(_UNITS.values())
    while unit := _UNIT.search(left):
        word = unit[1].lower()
        if word in _OTHER_UNITS:
            raise ValueError(f"'{text}' is for a {unit[1]}")
        if _UNITS.get(word) not in units:
            break
        units.remove(_UNITS[word])
        left = left[: unit.start()]
    return left


def per_month(price: Price, size: int) -> Decimal:
    """What this number of billed bytes costs in 30 days, exactly."""
    with localcontext(_EXACT):
        return price.amount * DAYS_PER_MONTH * size / GIB


def money(amount: Decimal) -> str:
    """An amount as text, rounded half up to four decimals."""
    with localcontext(_EXACT):
        return str(amount.quantize(_SMALLEST, ROUND_HALF_UP))


def cost_fields(
    account: Account, registry_bytes: int | None, price: Price | None, freed: int | None = None
) -> dict[str, Any]:
    """What the storage costs in a month, and what is saved when `freed` bytes go.

    The used bytes are those that Azure counts in the home region, once for each region: so the bill has them. Where
    Azure does not say, they are the bytes of manifests and blobs. A deletion frees bytes in every region. Included
    storage costs nothing, and nothing is saved in it. A number that is not known is None, and `why` says what is
    missing.
    """
    told = account.used_bytes is not None
    regions = account.regions or 1
    stored = account.used_bytes if told else registry_bytes
    used = stored * regions if stored is not None else None
    included = _included(account)
    billed = max(0, used - included) if used is not None and included is not None else None
    fields = {
        'pricePerGiBDay': format(price.amount, 'f') if price else None,
        'currency': price.currency if price else None,
        'daysPerMonth': DAYS_PER_MONTH,
        'sku': account.sku,
        'includedBytes': included,
        'regions': account.regions,
        'usedBytes': used,
        'usedBytesBy': 'showUsage' if told else 'registryBytes',
        'billedBytes': billed,
        'perMonth': _money_per_month(price, billed),
    }
    if freed is not None:
        saved = None
        if used is not None and included is not None and billed is not None:
            saved = billed - max(0, used - freed * regions - included)
        fields.update(savedBilledBytes=saved, savedPerMonth=_money_per_month(price, saved))
    return {**fields, 'why': _why(account, included, used, price)}


def _included(account: Account) -> int | None:
    """The bytes that cost nothing: as Azure says, or else as its list of SKUs does."""
    if account.included_bytes is not None:
        return account.included_bytes
    return INCLUDED_GIB[account.sku] * GIB if account.sku in INCLUDED_GIB else None


def _money_per_month(price: Price | None, size: int | None) -> str | None:
    return money(per_month(price, size)) if price and size is not None else None


def _why(account: Account, included: int | None, used: int | None, price: Price | None) -> str | None:
    """A sentence that says what is missing to know the cost. None when nothing is missing."""
    missing: list[str] = []
    if not account.sku and included is None:
        missing.append('the SKU of the registry is not known')
    elif included is None:
        missing.append('it is not known how much storage the SKU of the registry includes')
    if used is None:
        missing.append('neither Azure nor a complete scan says how much is stored')
    if not price:
        missing.append('no price was given')
    return f'The cost is not known, because {" and ".join(missing)}.' if missing else None


def account_fields(account: Account, registry_bytes: int, impact: str) -> dict[str, Any]:
    """The bytes that Azure counts in the home region, their limit, and how many of them are accounted for.

    All fields are None when Azure was not asked or gave no answer, and `why` says so. When `unaccountedBytes` is below
    0, Azure counts less than there is.
    """
    used = account.used_bytes
    rest = None if used is None else used - registry_bytes
    return {
        'sku': account.sku,
        'usedBytes': used,
        'includedBytes': account.included_bytes,
        'limitBytes': account.limit_bytes,
        'regions': account.regions,
        'accountedBytes': None if used is None else registry_bytes,
        'unaccountedBytes': rest,
        'unaccountedMayBe': list(_may_be(account, rest, impact)),
        'why': account.why,
    }


def _may_be(account: Account, rest: int | None, impact: str) -> Iterator[str]:
    if rest is None or rest == 0:
        return
    if rest < 0:
        yield LATE
        return
    if account.soft_delete_days is not None:
        yield SOFT_DELETED
    yield UPLOADS
    if impact != 'exact':
        yield UNREAD
    yield LATE
