"""What the author of a policy may not have meant, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from .ages import SECONDS_PER_DAY, is_date, parse_age
from .rules import KEEP, Age, Policy, When


def short_ages(policy: Policy) -> Iterator[str]:
    """A sentence on each rule that takes what is younger than a day: a push may be under way."""
    for rule in policy.rules:
        if rule.action != KEEP and rule.age.seconds < SECONDS_PER_DAY:
            minutes = " ('m' are minutes, months are 'mo')" if rule.age.text.endswith('m') else ''
            yield (
                f"The rule '{rule.name}' takes what was left alone {rule.age.said}{minutes}, and so a push under way: "
                'a multi-arch push uploads its images untagged, and their index last.'
            )


def short_periods(policy: Policy) -> Iterator[str]:
    """A sentence on each other period of less than a day, such as `6m` where months were meant."""
    for rule in policy.rules:
        when = rule.when
        for key, period in (
            ('notPulledFor', when.not_pulled_for),
            ('neverPulledAfter', when.never_pulled_after),
            ('untaggedFor', when.untagged_for),
        ):
            if period and period.seconds < SECONDS_PER_DAY:
                yield _short(f"'{key}' in the rule '{rule.name}'", period.text)
    if policy.pulled and policy.pulled.seconds < SECONDS_PER_DAY:
        yield _short("'protect.lastPulled'", policy.pulled.text)
    ran = policy.sources.ran_within
    if ran and not is_date(ran) and parse_age(ran) < SECONDS_PER_DAY:
        yield _short("'protect.ran'", ran)


def _short(where: str, text: str) -> str:
    minutes = ": 'm' are minutes, months are 'mo'" if text.endswith('m') else ''
    return f'{where} is {text}, which is less than a day{minutes}.'


def idle_conditions(policy: Policy) -> Iterator[str]:
    """A sentence on each rule that keeps and has a `when`, which decides nothing there."""
    for rule in policy.rules:
        if rule.action == KEEP and (rule.when != When() or rule.age != Age()):
            yield f"'when' has no effect in the rule '{rule.name}': 'do: keep' keeps at once, whatever the age."
