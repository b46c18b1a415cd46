"""Which rules can claim nothing, because those above them claim all that they match. Only what is certain is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import TypeVar

from .names import includes
from .patterns import Pattern
from .rules import KEEP, Match, Rule, RuleScope

Item = TypeVar('Item')

_ANYTHING = ('.', '.+', '^.', '^.+', '^.+$', '.+$')
"""Expressions that every name matches."""


def covering(rule: Rule, above: Sequence[Rule]) -> tuple[str, ...]:
    """The names of the rules above that together claim all that a rule matches; empty where something may be left."""
    kinds = (True, False) if rule.match.tagged is None else (rule.match.tagged,)
    found: list[str] = []
    for tagged, part in product(kinds, _parts(rule)):
        name = next((each.name for each in above if _covers(each, part, tagged)), None)
        if name is None:
            return ()
        found.append(name)
    return tuple(dict.fromkeys(found))


def _parts(rule: Rule) -> Iterator[Rule]:
    """Rules of one pattern of each kind that match together what a rule matches: others may cover each by itself."""
    for scope in rule.match.scopes:
        for repositories, tags in product(_singly(scope.repositories), _singly(scope.tags)):
            yield replace(rule, match=replace(rule.match, scopes=(RuleScope(repositories, tags),)))


def _singly(items: tuple[Item, ...]) -> list[tuple[Item, ...]]:
    return [(item,) for item in items] or [()]


def _covers(above: Rule, rule: Rule, tagged: bool) -> bool:
    """Whether a rule claims all of the tags, or all of the untagged, that another one matches."""
    wider, narrower = above.match, rule.match
    if wider.tagged not in (None, tagged):
        return False
    places = all(any(_has_place(scope, other, tagged) for scope in wider.scopes) for other in narrower.scopes)
    return places and _excepts_no_more(above, rule) and _has_properties(above, rule)


def _excepts_no_more(above: Rule, rule: Rule) -> bool:
    if above.match.excepting is None:
        return True
    # One part is enough to except an index from a rule that takes, and all have to be so for one that keeps.
    same_way = above.action == KEEP or rule.action != KEEP or not above.match.excepting.describes_images
    return same_way and above.match.excepting == rule.match.excepting


def _has_place(wider: RuleScope, narrower: RuleScope, tagged: bool) -> bool:
    if not tagged and wider.tags:
        return False
    return _has_all(wider.repositories, narrower.repositories, '**') and _has_all(wider.tags, narrower.tags, '*')


def _has_all(wider: tuple[Pattern, ...], narrower: tuple[Pattern, ...], everything: str) -> bool:
    """Whether one list of patterns covers another. No patterns means all names."""
    if not wider or any(_is_everything(pattern, everything) for pattern in wider):
        return True
    return bool(narrower) and all(any(_includes(pattern, other) for pattern in wider) for other in narrower)


def _is_everything(pattern: Pattern, everything: str) -> bool:
    return includes(pattern.text, everything) if pattern.is_glob else pattern.text in _ANYTHING


def _includes(wider: Pattern, narrower: Pattern) -> bool:
    if wider == narrower:
        return True
    if wider.is_glob and narrower.is_glob:
        return includes(wider.text, narrower.text)
    return narrower.is_glob and narrower.literal and wider.matches(narrower.text)


def _has_properties(above: Rule, rule: Rule) -> bool:
    wider, narrower = above.match, rule.match
    if not wider.describes_images:
        return True
    if above.action != KEEP and rule.action == KEEP:  # one part is enough for a rule that keeps
        return False
    return (
        all(
            not wanted or bool(given) and set(given) <= set(wanted)
            for wanted, given in (
                (wider.media_types, narrower.media_types),
                (wider.artifact_types, narrower.artifact_types),
                (wider.platforms, narrower.platforms),
                (wider.quarantines, narrower.quarantines),
            )
        )
        and set(wider.annotations) <= set(narrower.annotations)
        and set(wider.labels) <= set(narrower.labels)
        and _has_sizes(wider, narrower)
    )


def _has_sizes(wider: Match, narrower: Match) -> bool:
    least = wider.at_least is None or narrower.at_least is not None and narrower.at_least >= wider.at_least
    most = wider.at_most is None or narrower.at_most is not None and narrower.at_most <= wider.at_most
    return least and most
