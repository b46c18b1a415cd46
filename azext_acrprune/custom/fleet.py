"""One command on several registries, one after the other: a failure of one leaves the others alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from azure.cli.core.azclierror import ManualInterrupt
from knack.log import get_logger
from knack.util import CLIError

from .._errors import typed_errors
from ..exit_reasons import FAILED, INTERRUPTED, NOTHING_TO_DO, TIME_LIMIT, first_of
from ..spelling import one_line
from ..timelimit import TimeLimit
from .azure import in_subscription
from .command import Command
from .failures import alarm, exit_by
from .options import FleetOptions, read
from .registries import Chosen, chosen

if TYPE_CHECKING:
    from ..model import Document

logger = get_logger(__name__)

_FAILED = 'Not all was done in every registry: "registries" says what.'
_NOT_FOR_EACH = 'Not every registry is in the answer.'
_NOT_BEGUN = {
    INTERRUPTED: 'Not begun, because the command was interrupted.',
    TIME_LIMIT: 'Not begun, because the time limit was reached.',
}
_DEBUG = 'Run the command for this registry alone with --debug, to see where it fails.'
_NAMED = 5
"""So many registries are named that fail alike."""
_NOT_ITS_OWN = ('all_registries', 'tag', 'query_graph')


def in_each_registry(command: Callable[..., Document]) -> Callable[..., Document]:
    """A command that can be given several registries: what it does with one is done with each of them."""

    @wraps(command)
    def over(cmd: Command, **arguments: Any) -> Document:
        with typed_errors():
            registries = chosen(cmd, arguments['registry_name'], read(FleetOptions, arguments))
        arguments = {name: value for name, value in arguments.items() if name not in _NOT_ITS_OWN}
        if registries is None:
            return command(cmd, **arguments)
        return in_each(cmd, registries, arguments, partial(command, cmd))

    return over


def in_each(
    cmd: Command, registries: Sequence[Chosen], arguments: Mapping[str, Any], work: Callable[..., Document]
) -> Document:
    """Do the same in each registry; gives what each answered, or why it did not.

    A stop ends it. Each has its share of what is then left of the time limit, so that all together keep to it.
    """
    from ..documents.several import fleet_document

    limit = TimeLimit(arguments.get('time_limit'), time.monotonic)
    entries: list[Document] = []
    end = None
    for number, registry in enumerate(registries):
        end = end or (TIME_LIMIT if limit.is_over() else None)
        if end:
            entries.append(_entry(registry, error=_NOT_BEGUN[end]))
            continue
        share = max(1, int(limit.left / (len(registries) - number))) if arguments.get('time_limit') else None
        given = {**arguments, **registry.arguments, **({'time_limit': share} if share else {})}
        logger.warning('%s:', registry.registry_name)
        try:
            entries.append(_done(cmd, registry, partial(work, **given)))
            end = INTERRUPTED if (entries[-1]['result'] or {}).get('exitReason') == INTERRUPTED else None
        except ManualInterrupt as error:
            if not entries:
                raise
            end = INTERRUPTED
            entries.append(_entry(registry, error=str(error)))
    not_begun = sum(entry['error'] in _NOT_BEGUN.values() for entry in entries)
    document = fleet_document(entries, not_begun, _reason(entries, end))
    _say_failures(cmd, entries)
    exit_by(cmd, document['exitReason'], _FAILED)
    return document


def _reason(entries: Sequence[Document], end: str | None) -> str:
    """Why all of it ends: by the worst of what each registry says, and by what left some of them out."""
    ends = {entry['result']['exitReason']: True for entry in entries if entry['result']}
    failed = any(entry['error'] not in (None, *_NOT_BEGUN.values()) for entry in entries)
    return first_of({**ends, **({FAILED: True} if failed else {}), **({end: True} if end else {})}) or NOTHING_TO_DO


def _say_failures(cmd: Command, entries: Sequence[Document]) -> None:
    """Have each failure in the error at the end, and what fails alike in many registries once."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        if entry['error'] is not None:
            told = one_line(f'{entry["error"]} {entry["advice"] or ""}')
            names.setdefault(told, []).append(entry['registry'])
    for error, of_these in names.items():
        more = f' and {len(of_these) - _NAMED} more' if len(of_these) > _NAMED else ''
        alarm(cmd, f'{", ".join(of_these[:_NAMED])}{more}: {error}')


@contextmanager
def apart(cmd: Command, registry: Chosen) -> Iterator[None]:
    """Within it what fails is said, and has the command end with an error when the others have had their turn."""
    try:
        with in_subscription(cmd, registry.subscription):
            yield
    except ManualInterrupt:
        raise
    except CLIError as error:
        alarm(cmd, f'{registry.registry_name}: {one_line(f"{error} {_advice_of(error)}")}')
        exit_by(cmd, FAILED, _NOT_FOR_EACH)


def _done(cmd: Command, registry: Chosen, work: Callable[[], Document]) -> Document:
    """The entry of one registry. Raises ManualInterrupt."""
    try:
        with in_subscription(cmd, registry.subscription):
            return _entry(registry, work())
    except ManualInterrupt:
        raise
    except CLIError as error:
        return _entry(registry, error=str(error), advice=_advice_of(error) or None)
    except Exception as error:  # pylint: disable=broad-exception-caught  # nobody's mistake in one may stop the others
        logger.debug('In %s:', registry.registry_name, exc_info=True)
        return _entry(registry, error=f'{type(error).__name__}: {error}', advice=_DEBUG)


def _advice_of(error: CLIError) -> str:
    return ' '.join(map(str, getattr(error, 'recommendations', None) or ()))


def _entry(
    registry: Chosen, result: Document | None = None, error: str | None = None, advice: str | None = None
) -> Document:
    return {'registry': registry.registry_name, 'result': result, 'error': error, 'advice': advice}
