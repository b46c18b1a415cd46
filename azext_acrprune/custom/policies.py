"""`az acr prune policy`."""

from __future__ import annotations

from .selecting import read_policy


def validate(policy_file):
    """Check a policy file."""
    policy = read_policy(policy_file, ())
    return {'valid': True, 'rules': [rule.name for rule in policy.rules]}


def show_schema():
    from ..policy.file import schema

    return schema()


def show_example(name):
    from ..policy.file import example

    return example(name)
