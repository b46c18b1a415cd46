"""From options to what is pinned. A source of pins that fails stops the command: nothing is deleted then."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from knack.log import get_logger

from .command import Command
from .options import PinOptions
from .states import kept_folder, state_in_use

if TYPE_CHECKING:
    from ..model import Document, Inventory
    from ..pins.pinned import Found, Pin, Pins, Problem, Sources
    from ..pins.references import RegistryNames

logger = get_logger(__name__)

_MOST_WARNINGS = 20
_MOST_IDLE_DAYS = 7
KUBECTL_SECONDS = 300


def load_pins(cmd: Command, options: PinOptions, host: str, of_policy: Sources | None = None) -> Pins:
    """The pins of a command, by its options and by its policy file, if it has one.

    Raises SourceError or AskError for a source that cannot be read or asked at all, Incomplete for any problem where
    `is_strict`.
    """
    from ..pins.pinned import NOT_LISTED, Incomplete, Pins, Sources, merged

    of_policy = of_policy or Sources()
    aliases = (*options.alias, *of_policy.aliases)
    paths = (*options.pins, *of_policy.paths)
    strict = is_strict(cmd, options, of_policy)
    systems = (*options.pins_from, *of_policy.systems)
    ran_within = options.ran_within or of_policy.ran_within
    if not paths and not systems and not ran_within:
        return Pins()
    from ..pins.references import RegistryNames
    from ..sources.pin_files import read_files

    names = RegistryNames(host, aliases)
    found, files = read_files(paths, names, _standard_input())
    if not systems and '-' not in paths:
        _say_idle(aliases, paths)
    asked = [_remembered(cmd, system, names, host) for system in dict.fromkeys(systems)]
    ran = _ran(cmd, ran_within, host, systems) if ran_within else ()
    found = merged((found, *asked, *ran))
    if strict and any(problem.code != NOT_LISTED for problem in found.problems):
        raise Incomplete(found.problems)
    _warn(found, host)
    given = _given(paths, aliases, strict, files, systems)
    given = {**given, 'ranWithin': ran_within} if ran else given
    return Pins(found.pins, found.problems, given, strict, found.words)


def _say_idle(aliases: Sequence[str], paths: Sequence[str]) -> None:
    """Warn of other names of the registry that no file uses: a typing error pins nothing."""
    from ..pins.references import RegistryNames
    from ..sources.pin_files import SourceError, read_files

    for alias in aliases:
        with suppress(SourceError):  # it is raised for a file that names nothing
            found, _ = read_files(paths, RegistryNames(alias), None)
            if found.pins or found.problems:
                continue
        logger.warning("Pins: --alias '%s' is named by nothing that was read.", alias)


def is_strict(cmd: Command, options: PinOptions, of_policy: Sources) -> bool:
    """Whether a problem with the pins is an error: where that was asked for, and where nobody reads a warning."""
    from .consent import is_confirmed

    if options.strict_pins or of_policy.strict:
        return True
    unattended = options.yes is not None and not options.dry_run and is_confirmed(cmd, options.yes)
    return unattended and not options.no_strict_pins


def as_listed(pins: Pins, inventory: Inventory) -> Pins:
    """The pins, with those that only the registry can tell of. Says which point to nothing.

    Raises Incomplete for these where problems are errors.
    """
    from ..decide.remarks import absent_pins
    from ..pins.in_pieces import with_joined
    from ..pins.pinned import ABSENT, Incomplete, Problem

    problems = tuple(
        Problem(f"'{pin.reference.shown}' is not in the registry", pin.source, pin.line, ABSENT)
        for pin in absent_pins(inventory, pins)
    )
    if problems and pins.strict:
        raise Incomplete(problems)
    say_problems(problems)
    joined = with_joined(pins, inventory.repositories)
    if inventory.whole:
        say_nothing_pinned(joined, inventory.registry)
    return joined


def _standard_input() -> BinaryIO | None:
    """None when it was closed before az started."""
    return getattr(sys.stdin, 'buffer', None)


def _asked(cmd: Command, text: str, names: RegistryNames) -> Found:
    """What a live system uses."""
    from ..pins.live import KUBECTL, found_in_things, parse_system
    from ..sources.kubernetes import ask_kubectl
    from ..sources.systems import ask_azure
    from .azure import resource_manager

    system = parse_system(text)
    seconds = cmd.cli_ctx.config.getfloat('acrprune', 'kubectl_timeout', fallback=KUBECTL_SECONDS)
    if system.kind == KUBECTL:
        return found_in_things(ask_kubectl(seconds, system.name), names)
    with resource_manager(cmd) as manager:
        return found_in_things(ask_azure(system, manager, seconds), names)


def _remembered(cmd: Command, text: str, names: RegistryNames, host: str) -> Found:
    """What a live system uses, which is written down for `--ran-within`; a disk that is full is no reason to stop."""
    from ..sources.memory import UnreadableMemory

    found = _asked(cmd, text, names)
    try:
        remember(cmd, text, found, host)
    except UnreadableMemory as error:
        logger.warning('Pins: %s. What %s runs now is not remembered.', error, text)
    return found


def look(cmd: Command, options: PinOptions, host: str) -> Pins:
    """What live systems use now, and nothing else; it is written down. Raises AskError and UnreadableMemory."""
    from ..pins.pinned import Pins, merged
    from ..pins.references import RegistryNames

    names, found = RegistryNames(host, options.alias), []
    for system in dict.fromkeys(options.pins_from):
        found.append(_asked(cmd, system, names))
        remember(cmd, system, found[-1], host)
    seen = merged(found)
    _warn(seen, host)
    return Pins(seen.pins, seen.problems, _given((), options.alias, False, {}, options.pins_from))


def remember(cmd: Command, system: str, found: Found, host: str) -> None:
    """Write down what a system was seen to use. Raises UnreadableMemory."""
    from datetime import datetime, timezone

    from ..pins.pinned import NOT_LISTED
    from ..sources.memory import Memory, Seen, memory_path

    open_problems = sum(problem.code != NOT_LISTED for problem in found.problems)
    seen = Seen(datetime.now(timezone.utc), system, found.pins, open_problems)
    Memory(memory_path(kept_folder(cmd), host)).add(seen)
    state = state_in_use(cmd)
    if state:
        state.keep_seen()


def _ran(cmd: Command, period: str, host: str, asked: Sequence[str]) -> tuple[Found, ...]:
    """What live systems were seen to use within a time. Raises UnreadableMemory, also where nothing was ever seen."""
    from datetime import datetime, timedelta, timezone

    from ..pins.pinned import Found
    from ..policy.ages import parse_age_or_date
    from ..sources.memory import Memory, UnreadableMemory, memory_path, seen_in_part, within
    from ..spelling import printable

    every = Memory(memory_path(kept_folder(cmd), host)).every()
    if not every:
        raise UnreadableMemory(
            'Nothing is remembered of what ran',
            "Run 'az acr prune pins remember -r {target} --pins-from kubectl' for this registry, at least once a day.",
        )
    now = datetime.now(timezone.utc)
    if now - every[-1].at > timedelta(days=_MOST_IDLE_DAYS):
        raise UnreadableMemory(
            f'What runs was looked at last on {every[-1].at:%Y-%m-%d}, and what began since then is not known',
            "Run 'az acr prune pins remember -r {target} --pins-from kubectl' with all systems, at least once a day.",
        )
    seconds = parse_age_or_date(period, now.timestamp())
    since = now - timedelta(seconds=seconds)
    for system, first in {seen.system: seen.at for seen in reversed(every)}.items():
        if first > since:
            logger.warning(
                'Pins: what %s ran is only remembered since %s; --ran-within %s cannot know what ran before.',
                printable(system),
                f'{first:%Y-%m-%d %H:%M} UTC',
                period,
            )
    return (Found(within(every, since), tuple(seen_in_part(every, asked))),)


def _given(
    paths: tuple[str, ...], aliases: tuple[str, ...], strict: bool, files: Mapping[str, int], systems: tuple[str, ...]
) -> Document:
    given: Document = {'paths': list(paths), 'aliases': list(aliases), 'strict': strict, 'files': dict(files)}
    return {**given, 'from': list(systems)} if systems else given


def _warn(found: Found, host: str) -> None:
    say_problems(found.problems)
    if not found.words:
        _say_if_none(found.pins, host)


def say_nothing_pinned(pins: Pins, host: str) -> None:
    """Say so where the registry does not know anything either of what files name in pieces."""
    if pins.words:
        _say_if_none(pins.pins, host)


def _say_if_none(pins: Sequence[Pin], host: str) -> None:
    if not pins:
        logger.warning(
            "Pins: nothing that was read names an image of '%s', so that nothing is pinned. Give other "
            'names of the registry with --alias.',
            host,
        )


def say_problems(problems: Sequence[Problem]) -> None:
    """Warn of problems, and of no more than somebody reads."""
    for problem in problems[:_MOST_WARNINGS]:
        logger.warning('Pins: %s.', problem)
    if len(problems) > _MOST_WARNINGS:
        logger.warning('Pins: there are %d more problems like these.', len(problems) - _MOST_WARNINGS)
