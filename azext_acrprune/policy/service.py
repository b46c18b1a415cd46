"""Artifacts of the service itself, which no rule means unless it names them."""

from __future__ import annotations

from dataclasses import replace

from .patterns import glob
from .rules import Policy, Protection, RuleScope

SERVICE_NAMESPACE = 'csscpolicies'
"""Where the service keeps the configuration of continuous patching (key-concept-continuous-patching)."""


def with_protected_service_artifacts(policy: Policy) -> Policy:
    """The policy with the artifacts of the service itself protected, unless a pattern names their namespace."""
    scopes = [scope for rule in policy.rules for scope in rule.match.scopes]
    patterns = [*policy.repositories, *(pattern for scope in scopes for pattern in scope.repositories)]
    if any(SERVICE_NAMESPACE in pattern.text for pattern in patterns):
        return policy
    protection = Protection('an artifact of the service', RuleScope((glob(f'{SERVICE_NAMESPACE}/**'),)))
    return replace(policy, protections=(*policy.protections, protection))
