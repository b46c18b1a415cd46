"""One command on several registries, one after the other: a failure of one leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from azure.cli.core.azclierror import ManualInterrupt
from knack.log import get_logger
from knack.util import CLIError

from ..exit_reasons import FAILED, NOTHING_TO_DO, first_of
from .command import Command
from .failures import alarm, exit_by

if TYPE_CHECKING:
    from ..model import Document

logger = get_logger(__name__)

_SUMS = ('manifestsToDelete', 'tagsToDelete', 'manifestsDeleted', 'tagsDeleted', 'freedBytes')
_FAILED = 'Not all was done in every registry: "registries" says what.'


def in_each_registry(command: Callable[..., Document]) -> Callable[..., Document]:
    """A command that can be given several registries: what it does with one is done with each of them."""

    @wraps(command)
    def over(cmd: Command, **arguments: Any) -> Document:
        if isinstance(arguments['registry_name'], list):
            return in_each(cmd, arguments, partial(command, cmd))
        return command(cmd, **arguments)

    return over


def in_each(cmd: Command, arguments: Mapping[str, Any], work: Callable[..., Document]) -> Document:
    """Do the same in each registry that is named; gives what each answered, or why it did not. A stop ends it."""
    entries = []
    for registry in arguments['registry_name']:
        logger.warning('%s:', registry['registry_name'])
        entry: Document = {'registry': registry['registry_name'], 'result': None, 'error': None, 'advice': None}
        try:
            entry['result'] = work(**{**arguments, **registry})
        except ManualInterrupt:
            raise
        except CLIError as error:
            alarm(cmd, f'{registry["registry_name"]}: {error}')
            advice = ' '.join(map(str, getattr(error, 'recommendations', None) or ()))
            entry.update(error=str(error), advice=advice or None)
        entries.append(entry)
    failed = sum(entry['error'] is not None for entry in entries)
    ends = {entry['result']['exitReason']: True for entry in entries if entry['result']}
    reason = first_of({**ends, FAILED: failed or ends.get(FAILED)}) or NOTHING_TO_DO
    exit_by(cmd, reason, _FAILED)
    done = [entry['result']['summary'] for entry in entries if entry['result']]
    sums = {name: sum(each[name] for each in done) for name in _SUMS if any(name in each for each in done)}
    summary = {'registries': len(entries), 'failed': failed, **sums}
    return {'summary': summary, 'registries': entries, 'exitReason': reason}
