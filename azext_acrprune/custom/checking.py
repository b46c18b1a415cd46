"""`az acr prune check`, and the same after a run over what it touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knack.log import get_logger

from .failures import exit_with_failure, says_unread
from .session import Session, open_session

logger = get_logger(__name__)

Options = Mapping[str, Any]


def check(cmd, repository=None, **kwargs):
    """What is wrong in a registry, and what mends it; changes nothing."""
    from ..policy.patterns import glob
    from ..policy.rules import Selection

    selection = Selection(tuple(glob(name) for name in repository or ()))
    with open_session(cmd, {**kwargs, 'impact': 'bound'}) as session:
        document = session.check(selection)
    exit_with_failure(cmd, says_unread(document) or document['summary']['broken'])
    return document


def validate(cmd, session: Session, decision: Any, result: dict[str, Any]) -> None:
    """Put into the result of a run what is wrong in the repositories that it was to delete from.

    The exit code is 1 when something is broken that was not before, or when they could not be looked at.
    """
    from ..registry.protocol.refusals import Kind, RegistryError

    if result['summary']['interrupted']:
        logger.warning('The run was interrupted: nothing was validated.')
        result['validation'] = None
        return
    deleted = {(entry['repository'], entry['digest']) for entry in result['deleted']}
    try:
        result['validation'] = session.validate(decision, deleted)
    except RegistryError as error:
        logger.warning('What the run left could not be validated: %s.', error)
        result['validation'] = None
        exit_with_failure(cmd, error.kind is not Kind.OUT_OF_TIME)
        return
    exit_with_failure(cmd, _says_broken(result['validation']))


def _says_broken(validation: Mapping[str, Any]) -> int | None:
    from ..decide.health import BROKEN

    for finding in validation['new']:
        if finding['severity'] == BROKEN:
            logger.warning('Broken now: %s@%s: %s', finding['repository'], finding['digest'], finding['message'])
    return validation['newBroken']
