"""What a plan locks and unlocks for its policy, what became of it, and a plan's part read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..decide.kept_locked import KeptLocked, Reference


def lock_entries(work: KeptLocked | None) -> dict[str, Any]:
    """`lock` and `unlock` of a plan, in order; nothing where its policy says nothing of locks."""
    if work is None:
        return {}
    return {
        'lock': [{**_named(*each), 'because': why} for each, why in work.lock.items()],
        'unlock': [{**_named(*each), 'writeEnabled': enabled} for each, enabled in work.unlock.items()],
    }


def locked_entries(
    work: KeptLocked | None, locked: Iterable[Reference], unlocked: Iterable[Reference]
) -> dict[str, Any]:
    """`locked` and `unlocked` of a result."""
    if work is None:
        return {}
    return {
        'locked': [{**_named(*each), 'because': work.lock[each]} for each in sorted(locked)],
        'unlocked': [_named(*each) for each in sorted(unlocked)],
    }


def locks_as_planned(document: Mapping[str, Any]) -> KeptLocked | None:
    if 'lock' not in document:
        return None
    return KeptLocked(
        {_reference(entry): entry['because'] for entry in document['lock']},
        {_reference(entry): entry['writeEnabled'] for entry in document['unlock']},
    )


def _named(repository: str, reference: str) -> dict[str, str]:
    return {'repository': repository, 'digest' if ':' in reference else 'tag': reference}


def _reference(entry: Mapping[str, Any]) -> Reference:
    return entry['repository'], entry.get('digest') or entry['tag']
