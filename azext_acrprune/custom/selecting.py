"""From options to what may be deleted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from knack.log import get_logger

from .._errors import policy_errors
from .user_files import read_text

logger = get_logger(__name__)

_AGO_ZERO = (
    '--ago 0 takes pushes in flight too: a multi-arch push uploads its images untagged, and their index last. '
    'Give an age that no push exceeds where somebody may be pushing.'
)

Options = Mapping[str, Any]
Record = TypeVar('Record')


def policy_of_options(options: Options, policy_file: str | None = None) -> Any:
    from ..policy.ages import DEFAULT_AGO
    from ..policy.flags import Flags, policy_of

    if policy_file:
        return read_policy(policy_file, options['repository'] or ())
    given = {**options, 'ago': options['ago'] or DEFAULT_AGO}
    policy = policy_of(_of(Flags, given))
    if any(rule.age.seconds == 0 for rule in policy.rules):
        logger.warning(_AGO_ZERO)
    return policy


def read_policy(path: str, repositories: Any) -> Any:
    from ..policy.file import parse_policy

    with policy_errors(path):
        policy = parse_policy(read_text(path), tuple(repositories))
    return replace(
        policy,
        sources=replace(
            policy.sources, paths=tuple(os.path.join(os.path.dirname(path), pins) for pins in policy.sources.paths)
        ),
    )


def exactly(names: Any, required: bool = True) -> Any:
    """The selection of repositories by name; those that are `required` have to exist."""
    from ..policy.patterns import glob
    from ..policy.rules import Selection

    patterns = tuple(glob(name) for name in sorted(set(names)))
    return Selection(patterns) if required else Selection((), (patterns,))


def _of(record: type[Record], options: Options) -> Record:
    """A record of those options that it has fields for; az marks its defaults with subclasses of str and int."""
    plain = {str: str, int: int, list: tuple}
    given = {field.name: options[field.name] for field in fields(record) if options.get(field.name) is not None}
    return record(
        **{
            name: next(
                (
                    make(value)
                    for kind, make in plain.items()
                    if isinstance(value, kind) and not isinstance(value, bool)
                ),
                value,
            )
            for name, value in given.items()
        }
    )
