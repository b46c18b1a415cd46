"""Which names a registry can have, and whether a glob can match any of them.

Names of repositories are those of the distribution specification: components of lower-case letters and digits, with
single separators inside, joined by slashes. Tags begin with a letter, a digit or `_`, and have no slash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

LONGEST_TAG = 128

_TOKENS = re.compile(r'\*\*/|\*\*|\*|\?|.', re.DOTALL)
_WILDCARDS = ('**/', '**', '*', '?')

_START, _DASH, _DOT, _UNDERSCORE, _UNDERSCORES, _WORD, _NOTHING = range(7)
_SAMPLES = 'a._-/'
"""One character of each kind that a name may have."""

Tokens = tuple[str, ...]
Step = Callable[[int, str], int]


def tokens(glob: str) -> Tokens:
    """A glob as wildcards and single characters."""
    return tuple(_TOKENS.findall(glob))


def can_be_repository(glob: str) -> bool:
    """Whether some legal name of a repository matches a glob."""
    return _matches_some(tokens(glob), _in_repository, _WORD)


def can_be_tag(glob: str) -> bool:
    """Whether some legal tag matches a glob."""
    parts = tokens(glob)
    shortest = sum(part not in ('**/', '**', '*') for part in parts)
    return shortest <= LONGEST_TAG and _matches_some(parts, _in_tag, _WORD)


def includes(wider: str, narrower: str) -> bool:
    """Whether every name that matches one glob matches the other too; false where that is not certain."""
    return _includes(tokens(wider), tokens(narrower), {})


def _includes(wider: Tokens, narrower: Tokens, known: dict[tuple[Tokens, Tokens], bool]) -> bool:
    """A wildcard of the narrower glob has to fall wholly into one of the wider."""
    key = wider, narrower
    if key not in known:
        known[key] = False
        known[key] = any(_includes(left, right, known) for left, right in _steps(wider, narrower)) or not (
            wider or narrower
        )
    return known[key]


def _steps(wider: Tokens, narrower: Tokens) -> Iterator[tuple[Tokens, Tokens]]:
    if not wider:
        return
    first, rest = wider[0], wider[1:]
    if first in ('**', '*'):
        yield rest, narrower
    if first == '**/':  # nothing, or anything that ends with a slash
        yield rest, narrower
        yield ('**', '/', *rest), narrower
    if not narrower:
        return
    other, others = narrower[0], narrower[1:]
    if first == '**' or first == '*' and other not in ('**', '**/', '/'):
        yield wider, others
    elif first == '?' and other not in ('**', '**/', '*', '/') or first == other:
        yield rest, others


def _matches_some(glob: Tokens, step: Step, end: int) -> bool:
    """Walk through the glob and the grammar of names at the same time."""
    seen: set[tuple[int, int, bool]] = set()
    queue = [(0, _START, False)]
    while queue:
        state = queue.pop()
        if state in seen:
            continue
        seen.add(state)
        place, name, inside = state
        if place == len(glob):
            if name == end:
                return True
            continue
        queue.extend(_moves(glob, place, name, inside, step))
    return False


def _moves(glob: Tokens, place: int, name: int, inside: bool, step: Step) -> Iterator[tuple[int, int, bool]]:
    """`inside` is whether a `**/` has begun, so that it has to end with a slash."""
    token = glob[place]
    if token not in _WILDCARDS:
        yield from _taking(token, place + 1, name, step)
        return
    if token == '?':
        yield from _taking(_SAMPLES.replace('/', ''), place + 1, name, step)
    elif token == '**/':
        if not inside:
            yield place + 1, name, False
        yield from ((place, after, True) for _, after, _ in _taking(_SAMPLES, place, name, step))
        yield from _taking('/', place + 1, name, step)
    else:
        yield place + 1, name, False
        yield from _taking(_SAMPLES if token == '**' else _SAMPLES.replace('/', ''), place, name, step)


def _taking(characters: str, place: int, name: int, step: Step) -> Iterator[tuple[int, int, bool]]:
    for character in characters:
        after = step(name, character)
        if after != _NOTHING:
            yield place, after, False


def _in_repository(name: int, character: str) -> int:
    if character.isascii() and (character.isdigit() or character.islower()):
        return _WORD
    return {
        (_WORD, '/'): _START,
        (_WORD, '.'): _DOT,
        (_WORD, '_'): _UNDERSCORE,
        (_UNDERSCORE, '_'): _UNDERSCORES,
        (_WORD, '-'): _DASH,
        (_DASH, '-'): _DASH,
    }.get((name, character), _NOTHING)


def _in_tag(name: int, character: str) -> int:
    if character.isascii() and (character.isalnum() or character == '_'):
        return _WORD
    return _WORD if name == _WORD and character in '.-' else _NOTHING
