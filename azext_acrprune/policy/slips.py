"""What the author of a policy may not have meant, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from .ages import SECONDS_PER_DAY
from .rules import KEEP, Age, Policy, When


def short_ages(policy: Policy) -> Iterator[str]:
    """A sentence on each rule that takes what is younger than a day: a push may be under way."""
    for rule in policy.rules:
        if rule.action != KEEP and rule.age.seconds < SECONDS_PER_DAY:
            minutes = " ('m' are minutes, months are 'mo')" if rule.age.text.endswith('m') else ''
            yield (
                f"The rule '{rule.name}' takes what is {rule.age.text} old{minutes}, and so a push under way: a "
                'multi-arch push uploads its images untagged, and their index last.'
            )


def idle_conditions(policy: Policy) -> Iterator[str]:
    """A sentence on each rule that keeps and has a `when`, which decides nothing there."""
    for rule in policy.rules:
        if rule.action == KEEP and (rule.when != When() or rule.age != Age()):
            yield f"'when' has no effect in the rule '{rule.name}': 'do: keep' keeps at once, whatever the age."
