"""Artifacts of the service, which no rule means unless it names them, and of this program, which no rule means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .patterns import Pattern, glob
from .rules import KEEP, Policy, Protection, RuleScope

SERVICE_NAMESPACE = 'csscpolicies'
"""Where the service keeps the configuration of continuous patching (key-concept-continuous-patching)."""

OWN_NAMESPACE = 'acrprune'
"""Where the schedules of this program and their reports are."""

_NAMING = re.compile(rf'\^?{SERVICE_NAMESPACE}(?![\w-])')
"""How a pattern begins that names it. One that has the name in its middle may mean all others."""


def with_protected_service_artifacts(policy: Policy) -> Policy:
    """The policy with the artifacts of the service protected, except where a pattern of what goes names them.

    Those of this program are in any case: without them the schedules of the registry would fail.
    """
    scopes = [scope for rule in policy.rules if rule.action != KEEP for scope in rule.match.scopes]
    patterns = [*policy.repositories, *(pattern for scope in scopes for pattern in scope.repositories)]
    unnamed = _unnamed([pattern for pattern in patterns if _NAMING.match(pattern.text)])
    protection = Protection('an artifact of the service', RuleScope((unnamed,)))
    own = Protection('a schedule of acrprune', RuleScope((glob(f'{OWN_NAMESPACE}/**'),)))
    return replace(policy, protections=(*policy.protections, protection, own))


def _unnamed(naming: Sequence[Pattern]) -> Pattern:
    """The repositories of the service that none of these patterns matches."""
    own = glob(f'{SERVICE_NAMESPACE}/**')

    def search(name: str, **_: object) -> bool | None:
        return own.matches(name) and not any(pattern.matches(name) for pattern in naming) or None

    return Pattern(own.text, False, search)
