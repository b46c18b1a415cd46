"""Arrays of shells: `TAGS=(1 2)` and `declare -A TAGS=([web]=1 [api]=2)`, on one line or several."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .scopes import Scope, Value

_ARRAY = re.compile(
    r'^[ \t]*(?:(?:declare|local|readonly|typeset)[ ]+(?:-\w+[ ]+)*)?(\w{1,100})\+?=\(([^()]{0,20000})\)', re.MULTILINE
)
_ITEM = re.compile(
    r'#[^\n]*|(?:\[["\']?(?P<key>[^\]"\']{1,100})["\']?\]=)?'
    r'(?:"(?P<double>[^"]*)"|\'(?P<single>[^\']*)\'|(?P<plain>[^\s"\']+))'
)


def note_arrays(lines: Sequence[str], scope: Scope, first_line: int) -> None:
    """Note the items of all arrays in the scope of the whole script, for loops over them."""
    text = '\n'.join(lines)
    for match in _ARRAY.finditer(text):
        begin = first_line + text.count('\n', 0, match.start(2))
        keyed = Scope(scope, match[1], begin)
        for item in _ITEM.finditer(match[2]):
            words = [word for word in (item['double'], item['single'], item['plain']) if word]
            if words:
                place = keyed if item['key'] else scope
                line = begin + match[2].count('\n', 0, item.start())
                place.add(item['key'] or match[1], Value(words[0], line))
        if keyed.entries:
            scope.attach(keyed)
