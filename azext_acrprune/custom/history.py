"""`az acr prune history`: what earlier runs did. Asks no registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knack.log import get_logger

from .._errors import typed_errors
from ..prune_error import Kind
from .command import Command
from .fleet import apart
from .journaling import folder_of, index_of, read_journal
from .options import FleetOptions, StateOptions, read
from .registries import chosen
from .states import checked_out, each_checked_out, name_of_state, open_store

if TYPE_CHECKING:
    from ..decide.named import ImageName
    from ..model import Document

logger = get_logger(__name__)

_OWN = ('deletes', 'untags', 'restores', 'moves', 'requests')
"""What the index has of a run for our own use: the requests of a run say as much."""


def list_runs(
    cmd: Command,
    registry_name: str | list[Document] | None = None,
    suffix: str | None = None,
    state: str | None = None,
    **kwargs: object,
) -> list[Document]:
    """The runs that deleted, locked or restored something, newest first: on all registries, or those that are meant.

    What fails for one of several registries leaves the others alone.
    """
    from ..show.money import since_lines

    with typed_errors():
        several = chosen(cmd, registry_name, read(FleetOptions, kwargs))
    found: list[Document] = []
    since: list[Document | None] = []
    if several is None:
        _add_runs(cmd, _host(cmd, str(registry_name or ''), suffix), state, found, since)
    for registry in several or ():
        host = registry.login_server or _host(cmd, registry.registry_name, registry.suffix)
        with apart(cmd, registry):
            _add_runs(cmd, host, state, found, since)
    found.sort(key=lambda run: str(run['run']), reverse=True)
    _say_what_azure_said(found, {each['run']: each for each in since if each})
    for line in [line for each in since for line in since_lines(each)]:
        logger.warning('%s', line)
    return found


def _add_runs(
    cmd: Command, host: str | None, state: str | None, found: list[Document], since: list[Document | None]
) -> None:
    """Add the runs on a registry, or on all, and how what Azure says compares with what the last one promised."""
    from .promises import since_last_run

    with typed_errors():
        for _ in each_checked_out(cmd, host, StateOptions(state, no_cache=True)):
            here = [_shown(summary, folder_of(cmd)) for summary in index_of(cmd).summaries()]
            here = [run for run in here if host in (None, run['registry'])]
            found += here
            asked = {run['registry'] for run in here if run['usedBytesBefore'] is not None}
            since += [since_last_run(cmd, registry) for registry in sorted(filter(None, asked))]


def _say_what_azure_said(newest_first: list[Document], since: Mapping[str, Document]) -> None:
    """Give each run as `usedBytesAfter` what Azure said before the next one on the same registry, if it was asked.

    The last run that deleted something has what Azure says now, and as `since` how that compares with its promise.
    """
    registries = {run['run']: run['registry'] for run in newest_first}
    known = {registries[run]: each['usedBytesNow'] for run, each in since.items()}
    for run in newest_first:
        run['usedBytesAfter'], run['since'] = known.get(run['registry']), since.get(run['run'])
        if run['usedBytesBefore'] is not None:
            known[run['registry']] = run['usedBytesBefore']


def show_run(
    cmd: Command,
    run: str | None = None,
    images: list[ImageName] | None = None,
    requests: bool = False,
    registry_name: str | None = None,
    suffix: str | None = None,
    state: str | None = None,
) -> Document:
    """What one run did and why, and how it is undone: the run that is named, that took an image, or the last one."""
    from ..archive.pure.run_story import requests_of, story_of
    from .promises import since_run

    host = _host(cmd, registry_name, suffix)
    image = images[0] if images else None
    options = StateOptions(state, no_cache=True)
    with typed_errors(registry_name or ''), checked_out(cmd, host or _registry_of(cmd, options, run), options):
        taken = _runs_that_took(cmd, host, image, run) if image else []
        name = run or (taken[-1][0] if taken else _last_run(cmd, host))
        lines = read_journal(cmd, name)
        if requests:
            return {'run': name, 'requests': requests_of(lines)}
        story = {**_shown(story_of(name, lines, state), folder_of(cmd)), 'requests': requests_of(lines)}
        story['since'] = since_run(cmd, story)
        return _with_image(story, image, taken) if image else story


def _registry_of(cmd: Command, options: StateOptions, run: str | None) -> str:
    """The registry in the state that has a run, or had the last one; nothing without a state, or such a run."""
    from ..state.journals import run_in

    name = name_of_state(cmd, options)
    return run_in(open_store(cmd, name).entries(''), run) or '' if name else ''


def _with_image(story: Document, image: ImageName, taken: list[tuple[str, str]]) -> Document:
    """The story of a run with what it has of one image, and the earlier runs that took that."""
    from ..archive.pure.run_story import undo_of_image

    digest = taken[-1][1]
    about = [each for each in story['requests'] if each.get('repository') == image.repository]
    about = [each for each in about if each.get('digest') == digest]
    undo = undo_of_image(story['undo'], f'{image.repository}@{digest}' if image.tag is None else image.text)
    earlier = sorted({run for run, _ in taken} - {story['run']}, reverse=True)
    return {**story, 'image': image.text, 'digest': digest, 'requests': about, 'undo': undo, 'earlierRuns': earlier}


def _shown(summary: Mapping[str, Any], folder: Path) -> Document:
    """What a user sees of a run. While it is under way, nothing is left unlocked yet."""
    from ..apply.unsettled import is_under_way

    left = summary.get('leftUnlocked') or []
    left = [] if left and is_under_way(folder, summary['run']) else left
    told = {key: value for key, value in summary.items() if key not in _OWN}
    return {**told, 'requestsSent': summary['requests'], 'leftUnlocked': left}


def _host(cmd: Command, registry_name: str | None, suffix: str | None) -> str | None:
    from .caching import login_server

    return login_server(cmd, registry_name, suffix) if registry_name else None


def _last_run(cmd: Command, host: str | None) -> str:
    """The last run, of a registry if one is given. Raises JournalError."""
    from ..apply.journal import NoSuchRun

    for summary in reversed(index_of(cmd).summaries()):
        if host in (None, summary['registry']):
            return str(summary['run'])
    raise NoSuchRun('No run is written down' + (f" for '{host}'" if host else ''))


def _runs_that_took(cmd: Command, host: str | None, image: ImageName, run: str | None) -> list[tuple[str, str]]:
    """(run, digest) of each run that took an image, oldest first. Raises JournalError, also for no run at all.

    The beginning of a digest is enough where one digest begins with it.
    """
    from ..apply.journal import JournalError, NoSuchRun

    here = {str(summary['run']) for summary in index_of(cmd).summaries() if host in (None, summary['registry'])}
    found = index_of(cmd).runs_that_took(image.repository, _naming(image))
    found = [each for each in found if each[0] in here and run in (None, each[0])]
    digests = sorted({digest for _, digest in found})
    if image.tag is None and len(digests) > 1:
        raise JournalError(
            f"'{image.text}' is the beginning of several digests: {', '.join(digests)}",
            'Give more digits of the one that is meant.',
            Kind.INVALID,
        )
    if not found:
        raise NoSuchRun(f"No run that is written down took '{image.text}'")
    return found


def _naming(image: ImageName) -> Callable[[str, tuple[str, ...]], bool]:
    tag = image.tag
    if tag is not None:
        return lambda _, tags: tag in tags
    return lambda digest, _: digest.startswith(str(image.digest))
