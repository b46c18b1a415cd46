"""What stands before the sign of an assignment, and what belongs to it, in expressions of any language."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .expressions import Item
from .scopes import Scope, Value

TYPES = frozenset(
    ('string', 'str', 'String', 'object', 'array', 'int', 'bool', 'secureString', 'secureObject', 'any', 'number')
    + ('val', 'var')
)


_SETTING = re.compile(r'(--?[A-Za-z][\w-]*|[A-Za-z_][\w.]*)=(\S+)\Z')
_SET_FLAG = re.compile(r'--set(?:-string|-literal)?[= ]')


def has_question(items: Sequence[Item]) -> bool:
    return any(item.kind == 'sign' and item.value == '?' for item in items)


def formats(items: Sequence[Item]) -> bool:
    """Whether what fills a text in is open: `"{0}:{1}" -f $repository`, of PowerShell."""
    pairs = zip(items, items[1:], strict=False)
    return items[:1] != [] and items[0].kind == 'text' and any((a.value, b.value) == ('-', 'f') for a, b in pairs)


def loops(items: Sequence[Item], scope: Scope) -> bool:
    """Note `for x in xs:` of Bicep in the scope of its brackets."""
    words = [item.value for item in items]
    if len(words) != 4 or words[0] != 'for' or words[2] != 'in':
        return False
    scope.add('for_name', Value(words[1], items[0].line))
    over = items[3].texts[:1] or (f'${{{words[3]}}}',)
    if items[3].kind == 'list':  # Python: `for x in ["a", "b"]:`
        over = tuple(text for texts in items[3].arguments for text in texts)
    for text in over:
        scope.add('for_each', Value(text, items[0].line))
    return True


def key_of(items: Sequence[Item]) -> str:
    """The name before `=`: not its type, and not what only describes it."""
    names = [item for item in items if item.kind in ('name', 'text')]
    if items[-1].kind == 'list' and len(items[-1].arguments) == 1:  # `["app"] = "1"`
        return (items[-1].arguments[0] or ('',))[0]
    if not names:
        return ''
    last = names[-1]
    if last.kind == 'text':
        first = names[0]
        if first.kind == 'name' and len(names) > 2:  # Bicep: resource acr 'Microsoft...' existing =
            return names[1].value or ''
        return (last.texts or ('',))[0]
    words = [item.value for item in names if item.kind == 'name' and item.value not in TYPES]
    if words and words[-1] == 'existing' and len(words) > 1:
        return words[1]
    return words[-1].lstrip('$') if words else ''


def command(items: Sequence[Item]) -> tuple[str | None, list[Item]]:
    """`image 'x'` without a sign between them is a key and its value, in Groovy and Gradle."""
    is_word = len(items) > 1 and items[0].kind == 'name' and '.' not in items[0].value
    if is_word and items[1].kind in ('text', 'list'):
        return items[0].value, list(items[1:])
    return None, list(items)


def opens_type(items: Sequence[Item]) -> bool:
    """Whether a list of types is open: `versions: Record<string`."""
    signs = [item.value for item in items if item.kind == 'sign']
    return signs.count('<') > signs.count('>') and all(item.kind in ('sign', 'name') for item in items)


def by_names(items: Sequence[Item]) -> list[Item]:
    """`'%(r)s/app' % { r: registry }` with the values of the mapping in their places."""
    for number, item in enumerate(items):
        if item.kind == 'block' and number > 1 and items[number - 1].value == '%' and items[number - 2].kind == 'text':
            texts = items[number - 2].texts
            for name, given in item.named:
                texts = tuple(text.replace(f'%({name})s', value) for text in texts for value in given or ('',))
            return [*items[: number - 2], Item('text', texts=texts, line=items[number - 2].line)]
    return list(items)


def note_setting(text: str, line: int, key: str, scope: Scope) -> None:
    """`set=['image.tag=2']` and `flags=['--version=1']` of a call are settings beside its arguments."""
    text = _SET_FLAG.sub('', text)
    match = _SETTING.match(text)
    if match and match[1].startswith('-'):
        scope.add(match[1].lstrip('-'), Value(match[2], line))
    elif match:
        scope.pairs.setdefault(key, []).append((match[1], Value(match[2], line)))
