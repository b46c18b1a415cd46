"""What a text says with the values of its names filled in.

Names with several values make several texts. Values that stand in the items of one list belong together: `svc.name` and
`svc.tag` never mix two services.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .expressions import LONGEST, LONGEST_VALUE
from .holes import arm_texts, hole_texts
from .loops import entries_of, goes_over, looped, spellings
from .scopes import Filled, Scope, Value

_ROUNDS = 2
_MOST_AGAIN = 8
_MOST_VALUES = 60
_DEEPEST = 8
"""How deep the value of a name may lead to other names."""

_HOLE = re.compile(
    r'\$\{\{(?P<github>[^{}\n]{1,300})\}\}'
    r'|\{\{-?(?P<double>[^{}\n]{1,300}?)-?\}\}'
    r'|\$?\$\{(?P<braced>[^{}\n]{1,300})\}'
    r'|\$\((?P<round>\$?[\w.-]{1,100})\)'
    r'|\$\[\[\s*(?P<gitlab>[\w.-]{1,100})\s*\]\]'
    r'|\$\[\s*(?P<square>[^\[\]\n]{1,300})\]'
    r'|<<\s*(?P<angle>[\w.-]{1,100})\s*>>'
    r'|#\{\s*(?P<hash>[\w.-]{1,100})\s*\}'
    r'|\\\((?P<cue>[\w.#]{1,100})\)'
    r'|\(\((?P<concourse>[\w.-]{1,100})\)\)'
    r'|%\((?P<python>\w{1,100})\)s'
    r'|%(?P<windows>\w[\w.]{0,100})%'
    r'|\$\$?(?P<bare>[A-Za-z_]\w{0,100})'
)
_MARK = re.compile(r'[$%]|\{\{|<<|#\{|\\\(|\(\(')
_SIMPLE = re.compile(r'[\w.$#-]+\Z')
_DEFAULT = re.compile(r'([\w.]{1,100}):?[-=](.{0,300})\Z')
_DEMANDED = re.compile(r'\A(\w{1,100}):?\?(?![.:]).{0,300}\Z')
_EXPRESSION = re.compile(r'\[\s*\w+\s*\(')
_PICKED = re.compile(r'([\w.$]{1,100})\[\$?\{?([\w.$]{1,100})\}?\]\.?([\w.]{0,100})\Z')
_NAME_ALONE = re.compile(r'\$\{([\w.$]{1,100}(?:\[[\w.${}]{1,100}\])?)\}\Z')
_HAS_DEFAULT = re.compile(r'\b(?:default|coalesce)\b')
_INDEX = re.compile(r"\[['\"]([\w.-]{1,100})['\"]\]")


Busy = frozenset[tuple[int, str]]


def _deeper(busy: Busy) -> Busy:
    """One step further into an expression: those that hold themselves have to end."""
    return busy | {(-len(busy) - 1, '')}


def has_holes(text: str) -> bool:
    """Whether something in a text has to be filled in, or the text is an expression of a resource manager template."""
    return _MARK.search(text) is not None and _HOLE.search(text) is not None or _is_expression(text)


def may_name_image(text: str) -> bool:
    """Whether it is worth looking for images in a text."""
    return '/' in text or '$' in text or 'pkg:' in text or '{{' in text or text[:1] == '['


def _is_expression(text: str) -> bool:
    return text[:1] == '[' and text[-1:] == ']' and _EXPRESSION.match(text) is not None


def filled(text: str, scope: Scope | None, busy: Busy = frozenset()) -> list[Filled]:
    """All that a text may say; a name without a value stays as it was written."""
    if not _MARK.search(text) and text[:1] != '[':
        return [Filled(text)]
    found = _filled_once(text, scope, busy)
    for _ in range(0 if busy else _ROUNDS):  # a default may have held a name itself
        again = [each for each in found if each.text != text and each.text.count('${') and has_holes(each.text)]
        if not again or len(busy) > _DEEPEST or len(found) > _MOST_AGAIN:
            break
        more = [made for each in found for made in (_again(each, scope, busy) if each in again else [each])]
        if more == found:
            break
        found = more[: _MOST_VALUES + 1]
    return found


def _again(text: Filled, scope: Scope | None, busy: Busy) -> list[Filled]:
    """A text filled once more; what belongs to other items of a list than the text itself does not fit it."""
    fitting = [made for made in _filled_once(text.text, scope, busy) if belong(text, made)]
    return [replace(made, lines=made.lines | text.lines, origin=made.origin | text.origin) for made in fitting] or [
        text
    ]


def _filled_once(text: str, scope: Scope | None, busy: Busy) -> list[Filled]:
    if _is_expression(text) and len(busy) <= _DEEPEST:
        said = arm_texts(text)
        told = [each for made in said for each in filled(made, scope, _deeper(busy))]
        return told if len(told) <= _MOST_VALUES else [*told[:_MOST_VALUES], *map(Filled, said)]
    if len(text) > LONGEST or len(busy) > _DEEPEST or not _MARK.search(text):
        return [Filled(text)]
    made = [Filled('')]
    end = 0
    for match in _HOLE.finditer(text):
        before = Filled(text[end : match.start()])
        known = _hole(match, scope, busy) or [Filled(match.group())]
        made = _together([each.with_(before) for each in made], known, match.group())
        end = match.end()
    if not end:
        return [Filled(text)]
    rest = text[end:]
    found = [Filled(f'{each.text}{rest}'[:LONGEST], each.lines, each.origin) for each in made[:_MOST_VALUES]]
    return found if len(made) <= _MOST_VALUES else [*found, Filled(text)]


def _together(texts: Sequence[Filled], values: Sequence[Filled], written: str) -> list[Filled]:
    """Each text with each value that may follow it; where none may, the place is left as it was `written`."""
    found: list[Filled] = []
    for text in texts:
        fitting = [value for value in values if belong(text, value)]
        found += [text.with_(value) for value in fitting or [Filled(written)]]
        if len(found) > _MOST_VALUES:
            break
    return found


def belong(first: Filled, second: Filled) -> bool:
    """Whether two texts do not come from different items of one list."""
    if not first.origin or not second.origin:
        return True
    places = {place for place, _ in first.origin}
    return all(each in first.origin or each[0] not in places for each in second.origin)


def _hole(match: re.Match[str], scope: Scope | None, busy: Busy) -> list[Filled]:
    content = (match[match.lastgroup or 0] or '').strip()
    content = _DEMANDED.sub(r'\1', _INDEX.sub(r'.\1', content))
    picked = _PICKED.match(content)
    if picked:
        return _picked(picked[1], picked[2], picked[3], scope, busy)
    known = values_of(content, scope, busy) if _SIMPLE.match(content) else []
    default = _DEFAULT.match(content)
    if known or _SIMPLE.match(content) and not (default and content.partition('-')[0].isupper()):
        return known
    if default and match['braced'] is not None:
        known = values_of(default[1], scope, busy)
        given = filled(default[2], scope, _deeper(busy)) if not all(each.text for each in known) or not known else []
        return _with_default(known, given)
    found: list[Filled] = []
    for text in hole_texts(content):
        simple = text.startswith('${') and _SIMPLE.match(text[2:-1])
        more = values_of(text[2:-1], scope, busy) if simple else filled(text, scope, _deeper(busy))
        found.extend(each for each in more if '${value}' not in each.text)
    found = [each for each in found if each.text] or found  # to what is empty, a default is preferred
    closed = [each for each in found if not has_holes(each.text)] if _HAS_DEFAULT.search(content) else []
    return closed or found


def _with_default(known: Sequence[Filled], given: list[Filled]) -> list[Filled]:
    """The values of a name, and what is given by default in the place of those that are empty."""
    if not known:
        return given
    found = [each for each in known if each.text]
    empty = [each for each in known if not each.text]
    return found + [
        replace(text, lines=text.lines | each.lines, origin=text.origin | each.origin)
        for each in empty
        for text in given
    ]


def _picked(place: str, name: str, path: str, scope: Scope | None, busy: Busy) -> list[Filled]:
    """The values in a mapping under the keys that a name has: `TAGS[name]`; of a name without values, all of them."""
    if scope is None or name.isdigit():
        return values_of(place, scope, busy) if scope else []
    written = f'{place}[{name}]{path}'
    if written in scope.known:
        return scope.known[written]
    keys = {each.text: each for each in values_of(name, scope, busy)}
    found = []
    for key, value in entries_of(place, path, scope):
        chosen = keys.get(key)
        if chosen or not keys:
            origin = chosen.origin if chosen else frozenset(((f'{place}[{name}]', hash(key)),))
            for each in filled(value.text, scope, _deeper(busy)):
                lines = each.lines | {value.place} | (chosen.lines if chosen else frozenset())
                found.append(Filled(each.text, lines, each.origin | origin))
        if len(found) > _MOST_VALUES:
            break
    more = len(found) > _MOST_VALUES
    scope.known[written] = found[:_MOST_VALUES] + ([Filled(f'${{{written}}}')] if more else [])
    return scope.known[written]


def values_of(name: str, scope: Scope | None, busy: Busy = frozenset()) -> list[Filled]:
    """The values of a name as seen from a scope, empty where none is known."""
    if name.startswith('var.'):  # of Terraform: a default, and what files beside it give
        found = [each for spelled in spellings(name) for each in _innermost(spelled, scope, busy)]
        return list(dict.fromkeys(found))
    found = next(filter(None, (_innermost(spelled, scope, busy) for spelled in spellings(name))), [])
    return found or _by_another_name(name.strip('.$ '), scope, busy)


def _by_another_name(name: str, scope: Scope | None, busy: Busy) -> list[Filled]:
    """The values of `image.tag` where `image` is another name of something: `const image = images[name]`."""
    head, _, rest = name.partition('.')
    here = scope if rest and len(busy) <= _DEEPEST else None
    while here is not None:
        found = []
        followed = (here.number, f'{head}.')  # once, as `image = image.next` makes ever longer names
        for value in here.own(head):
            match = _NAME_ALONE.match(value.text)
            place = f'${{{match[1]}.{rest}}}' if match and followed not in busy else ''
            made = filled(place, here, busy | {followed}) if place else []
            found += [replace(each, lines=each.lines | {value.place}) for each in made if each.text != place]
        if found:
            return found
        here = here.parent
    return []


def _innermost(spelled: str, scope: Scope | None, busy: Busy) -> list[Filled]:
    """What the innermost scope that knows a name says of it; to a default, what is given further out is added."""
    here = scope
    found: list[Filled] = []
    while here is not None:
        if (here.number, spelled) not in busy:
            place = here
            if found:
                values = [value for value in here.given(spelled) if not value.weak]
            else:
                values = _given(here, spelled, busy)
            if not found and not values and scope is not None:  # names in its items mean what they mean in the loop
                values, place = looped(here, spelled, scope), scope
            if values:
                inner = busy | {(here.number, spelled)}
                known = _worked_out(place, spelled, values, inner, f'given {spelled}' if found else spelled)
                found += [each for each in known if each not in found]
                if not all(value.weak for value in values):
                    return found
        here = here.parent
    return found


def _worked_out(scope: Scope, name: str, values: list[Value], busy: Busy, kept: str) -> list[Filled]:
    """What the values of a name say, each name of a scope once: it is `kept`. Of too many, the rest is left open."""
    if kept not in scope.known:
        inner = busy | {(scope.number, name)}
        found = []
        for number, value in enumerate(values[:_MOST_VALUES]):
            origin = value.origin
            if not origin and len(values) > 1:  # a name means the same wherever it stands in one text
                origin = frozenset(((f'{scope.number} {name}', number),))
            for each in filled(value.text, scope, inner):
                found.append(Filled(each.text[:LONGEST_VALUE], each.lines | {value.place}, each.origin | origin))
        more = len(values) > _MOST_VALUES or len(found) > _MOST_VALUES
        scope.known[kept] = found[:_MOST_VALUES] + ([Filled(f'${{{name}}}')] if more else [])
    return scope.known[kept]


def _given(scope: Scope, name: str, busy: Busy) -> list[Value]:
    """What a scope says of a name; what is handed to a nested template counts more than its own defaults."""
    if scope.key == 'command':  # its options are no names
        return scope.declared.get(name, [])
    values = scope.own(name)
    if values and all(f'${{{name}}}' in value.text for value in values) and goes_over(scope, name):
        return []  # an argument of the same name as that of the loop that it is in
    outer = scope.parent
    is_nested = outer is not None and scope.key == 'template' and all(value.weak for value in values)
    if is_nested and outer is not None and (outer.number, name) not in busy and outer.declared.get(name):
        return []
    return values
