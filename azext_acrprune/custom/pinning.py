"""From options to what is pinned. A source of pins that fails stops the command: nothing is deleted then."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

from knack.log import get_logger

from .command import Command
from .options import PinOptions

if TYPE_CHECKING:
    from ..model import Document
    from ..pins.pinned import Found, Pins, Sources
    from ..pins.references import RegistryNames

logger = get_logger(__name__)

_MOST_WARNINGS = 20
KUBECTL_SECONDS = 300


def load_pins(cmd: Command, options: PinOptions, host: str, of_policy: Sources | None = None) -> Pins:
    """The pins of a command, by its options and by its policy file, if it has one.

    Raises SourceError or AskError for a source that cannot be read or asked at all, Incomplete for any problem where
    that was asked for.
    """
    from ..pins.pinned import Incomplete, Pins, Sources, merged

    of_policy = of_policy or Sources()
    aliases = (*options.alias, *of_policy.aliases)
    paths = (*options.pins, *of_policy.paths)
    strict = options.strict_pins or of_policy.strict
    systems = (*options.pins_from, *of_policy.systems)
    if not paths and not systems:
        return Pins()
    from ..pins.references import RegistryNames
    from ..sources.pin_files import read_files

    names = RegistryNames(host, aliases)
    found, files = read_files(paths, names, _standard_input())
    found = merged((found, *(_asked(cmd, system, names) for system in dict.fromkeys(systems))))
    if strict and found.problems:
        raise Incomplete(found.problems)
    _warn(found, host)
    return Pins(found.pins, found.problems, _given(paths, aliases, strict, files, systems))


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


def _given(
    paths: tuple[str, ...], aliases: tuple[str, ...], strict: bool, files: Mapping[str, int], systems: tuple[str, ...]
) -> Document:
    given: Document = {'paths': list(paths), 'aliases': list(aliases), 'strict': strict, 'files': dict(files)}
    return {**given, 'from': list(systems)} if systems else given


def _warn(found: Found, host: str) -> None:
    for problem in found.problems[:_MOST_WARNINGS]:
        logger.warning('Pins: %s.', problem)
    if len(found.problems) > _MOST_WARNINGS:
        logger.warning('Pins: there are %d more problems like these.', len(found.problems) - _MOST_WARNINGS)
    if not found.pins:
        logger.warning(
            "Pins: nothing that was read names an image of '%s', so that nothing is pinned. Give other "
            'names of the registry with --alias.',
            host,
        )
