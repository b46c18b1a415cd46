"""What the storage of a registry takes, what it costs, and what a plan saves.

There is a cost only where the user gives a price.
Azure bills the GiB beyond those that the SKU includes, by the day.
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
REPLICAS = 'replicas'
UNREAD = 'unread'
LATE = 'countedLater'
"""What the difference to Azure's number may be: soft-deleted images, uploads that no manifest uses yet, replicas that
could not be counted, manifests that could not be read, or changes that Azure counts later."""

_SMALLEST = Decimal('0.0001')
_EXACT = Context(prec=200)
"""It has more digits than any sum here, so that only `money` rounds."""

_PRICE = re.compile(r'([^0-9.,+-]*?)\s*([0-9]{1,9}(?:\.[0-9]{1,12})?)\s*([^0-9.,+-]*)')
_LONGEST_CURRENCY = 16


@dataclass(frozen=True)
class Price:
    """The price of a GiB and day beyond the included storage. `currency` is any short text, or empty."""

    amount: Decimal
    currency: str = ''


def parse_price(text: str) -> Price:
    """`0.003 USD`, `€0.003` or `0.003`. Raises ValueError."""
    match = _PRICE.fullmatch(text.strip())
    if not match or match[1] and match[3]:
        raise ValueError(f"'{text}' is not a number with a currency")
    currency = match[1] or match[3]
    if len(currency) > _LONGEST_CURRENCY or not currency.isprintable():
        raise ValueError('a currency is a short text')
    return Price(Decimal(match[2]), currency)


def billed_bytes(used: int, sku: str) -> int:
    """What is used beyond the storage that the SKU includes."""
    return max(0, used - INCLUDED_GIB[sku] * GIB)


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

    The used bytes are those that Azure counts, replicas included. Where Azure does not say, they are the bytes of
    manifests and blobs, once. A deletion frees bytes in every region. Included storage costs nothing, and nothing is
    saved in it. A number that is not known is None, and `why` says what is missing.
    """
    told = account.used_bytes is not None
    used = account.used_bytes if told else registry_bytes
    sku = account.sku if account.sku in INCLUDED_GIB else None
    billed = billed_bytes(used, sku) if sku and used is not None else None
    fields = {
        'pricePerGiBDay': format(price.amount, 'f') if price else None,
        'currency': price.currency if price else None,
        'daysPerMonth': DAYS_PER_MONTH,
        'sku': account.sku,
        'includedBytes': INCLUDED_GIB[sku] * GIB if sku else None,
        'usedBytes': used,
        'usedBytesBy': 'showUsage' if told else 'registryBytes',
        'billedBytes': billed,
        'perMonth': _money_per_month(price, billed),
    }
    if freed is not None:
        saved = None
        if sku and used is not None and billed is not None:
            saved = billed - billed_bytes(used - freed * ((account.regions or 1) if told else 1), sku)
        fields.update(savedBilledBytes=saved, savedPerMonth=_money_per_month(price, saved))
    return {**fields, 'why': _why(account, sku, used, price)}


def _money_per_month(price: Price | None, size: int | None) -> str | None:
    return money(per_month(price, size)) if price and size is not None else None


def _why(account: Account, sku: str | None, used: int | None, price: Price | None) -> str | None:
    """A sentence that says what is missing to know the cost. None when nothing is missing."""
    missing: list[str] = []
    if not account.sku:
        missing.append('the SKU of the registry is not known')
    elif not sku:
        missing.append('it is not known how much storage the SKU of the registry includes')
    if used is None:
        missing.append('neither Azure nor a complete scan says how much is stored')
    if not price:
        missing.append('no price was given')
    return f'The cost is not known, because {" and ".join(missing)}.' if missing else None


def account_fields(account: Account, registry_bytes: int, impact: str) -> dict[str, Any]:
    """The bytes that Azure counts, their limit, and how many of them are accounted for.

    Accounted for are the bytes of the registry, once for each region. All fields are None when Azure was not asked or
    gave no answer, and `why` says so. When `unaccountedBytes` is below 0, Azure counts less than there is.
    """
    used = account.used_bytes
    accounted = registry_bytes * (account.regions or 1)
    rest = None if used is None else used - accounted
    return {
        'sku': account.sku,
        'usedBytes': used,
        'limitBytes': account.limit_bytes,
        'regions': account.regions,
        'accountedBytes': None if used is None else accounted,
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
    if account.regions is None:
        yield REPLICAS
    if impact != 'exact':
        yield UNREAD
    yield LATE
