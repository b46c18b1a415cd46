"""From options to what may be deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from knack.log import get_logger

from .._errors import typed_errors
from ..prune_error import Kind, PruneError
from .options import SelectOptions
from .user_files import read_text

if TYPE_CHECKING:
    from ..decide.decision import Decision
    from ..policy.rules import Policy, Selection

logger = get_logger(__name__)

_AGO_ZERO = (
    '--ago 0 takes pushes in flight too: a multi-arch push uploads its images untagged, and their index last. '
    'Give an age that no push exceeds where somebody may be pushing.'
)


def policy_of_options(options: SelectOptions, registry: str | None = None) -> Policy:
    """The policy of the file, or of the flags where there is no file."""
    from ..policy.flags import policy_of

    if options.policy_file:
        return read_policy(options.policy_file, options.flags.repository, registry)
    policy = policy_of(options.flags, time.time())
    if any(rule.age.seconds == 0 for rule in policy.rules):
        logger.warning(_AGO_ZERO)
    return policy


def read_policy(
    path: str, repositories: Sequence[str] = (), registry: str | None = None, now: float | None = None
) -> Policy:
    """The policy in a file, as it is for a registry with this name.

    Its dates are counted from `now`, in seconds since 1970: today, if nothing else is given.
    """
    from ..policy.file import parse_policy
    from ..policy.parsing import PolicyError
    from ..policy.slips import idle_conditions, short_ages, short_periods

    with typed_errors():
        try:
            policy = parse_policy(read_text(path), tuple(repositories), registry, time.time() if now is None else now)
        except PolicyError as error:
            raise PruneError(f"The policy '{path}' is not valid: {error}.", error.advice, error.kind) from error
    for sentence in (*short_ages(policy), *short_periods(policy), *idle_conditions(policy)):
        logger.warning(sentence)
    return replace(
        policy,
        sources=replace(
            policy.sources, paths=tuple(os.path.join(os.path.dirname(path), pins) for pins in policy.sources.paths)
        ),
    )


def refuse_idle_patterns(decision: Decision) -> None:
    """Raise PruneError when something that protects or keeps matched nothing."""
    from ..decide.remarks import UNUSED_PATTERN

    idle = [remark.message for remark in decision.remarks if remark.code == UNUSED_PATTERN]
    if idle:
        raise PruneError(
            f'The policy protects or keeps what is not there: {" ".join(idle)}',
            'Correct it or take it out, or leave out --strict-policy to be warned instead.',
            Kind.INVALID,
        )


def exactly(names: Iterable[str], required: bool = True) -> Selection:
    """The selection of repositories by name; those that are `required` have to exist."""
    from ..policy.patterns import glob
    from ..policy.rules import Selection

    patterns = tuple(glob(name) for name in sorted(set(names)))
    return Selection(patterns) if required else Selection((), (patterns,))
