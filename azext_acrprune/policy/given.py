"""A policy once more, from what a plan or a journal says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .file import parse_policy
from .flags import Flags, key_of, policy_of
from .rules import Match, Policy, Rule


def policy_given(given: Mapping[str, Any], registry: str, now: float) -> Policy | None:
    """The policy that was `given` as a plan document shows it, None where somebody named what should go.

    `now` is in seconds since 1970, for dates. Raises PolicyError, BadPattern and other ValueErrors, and TypeError or
    AttributeError for what no plan says.
    """
    repositories = tuple(given.get('repositories') or ())
    if 'file' in given:
        return parse_policy(json.dumps(given['file']), repositories, registry, now)
    options = given.get('tags') or given.get('untagged')
    return policy_of(_flags(options, repositories), now) if options else None


def can_be_foreseen(policy: Policy) -> bool:
    """Whether the rules ask only for what is known of an image before it is in the registry: its names and times."""
    return not policy.asks_for_pulls and not any(
        rule.until or rule.when.expired or _asks_for_more(rule) for rule in policy.rules
    )


def _asks_for_more(rule: Rule) -> bool:
    matches = [match for match in (rule.match, rule.match.excepting) if match]
    return any(
        match.artifact_types or match.platforms or match.labels or match.quarantines or _asks_for_size(match)
        for match in matches
    )


def _asks_for_size(match: Match) -> bool:
    return match.at_least is not None or match.at_most is not None


def _flags(options: Mapping[str, Any], repositories: tuple[str, ...]) -> Flags:
    found: dict[str, Any] = {'repository': repositories}
    for option in fields(Flags):
        value = options.get(key_of(option.name))
        if value is not None:
            found[option.name] = tuple(value) if isinstance(value, list) else value
    return Flags(**found)
