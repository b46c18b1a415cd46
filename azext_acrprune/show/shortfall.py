"""What a run did of what its preview said, in one line."""

from __future__ import annotations

from typing import Any

from .sizes import count, freed_size

_LESS = {'goneBefore': 'gone before', 'skipped': 'skipped', 'failed': 'failed'}


def shortfall(plan: dict[str, Any], result: dict[str, Any]) -> str | None:
    """What became of the numbers of a plan; None where all of it was done."""
    if not any(result[kind] for kind in _LESS):
        return None
    planned = (('manifest', 'deleted', 'deleted', 'delete'), ('tag', 'removed', 'untagged', 'untag'))
    parts = [
        f'{len(result[done]):,} of {count(len(plan[to_do]), noun)} {verb}'
        for noun, verb, done, to_do in planned
        if plan[to_do]
    ]
    parts += [f'{len(result[kind]):,} {told}' for kind, told in _LESS.items() if result[kind]]
    freed = freed_size(result['summary']['freedBytes'], result['summary']['impact'])
    return f'{", ".join(parts)}; {freed} freed of {freed_size(plan["summary"]["freedBytes"], plan["impact"])}.'
