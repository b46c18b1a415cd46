"""`az acr prune policy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .selecting import read_policy

if TYPE_CHECKING:
    from ..model import Document


def validate(policy_file: str) -> Document:
    """Check a policy file."""
    policy = read_policy(policy_file, ())
    return {'valid': True, 'rules': [rule.name for rule in policy.rules]}


def show_schema() -> Document:
    from ..policy.file import schema

    return schema()


def show_example(name: str) -> Document:
    from ..policy.file import example

    return example(name)
