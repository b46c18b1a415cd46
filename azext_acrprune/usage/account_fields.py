"""What Azure says that a registry uses, beside what its manifests and blobs account for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..model import Account

SOFT_DELETED = 'softDeleted'
UPLOADS = 'uploads'
REPLICAS = 'replicas'
UNREAD = 'unread'
LATE = 'countedLater'
"""What the difference may be: soft-deleted images, uploads that no manifest uses yet, replicas that could not be
counted, what could not be read here; or Azure's number is of some time ago, since it follows with a delay."""


def account_fields(account: Account, registry_bytes: int, impact: str) -> dict[str, Any]:
    """The real bytes, the limit, and what of the bytes is accounted for: the registry, once in each of its regions.

    All of it is None where Azure was not or could not be asked, and `why` says so. `unaccountedBytes` below 0 means
    that Azure counts less than there is.
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
