"""What the options of `schedule create` and `schedule update` ask for, as a schedule with its files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..prune_error import Kind, PruneError
from .command import Command
from .options import Arguments, ScheduleOptions, StateOptions
from .schedule_files import installed_package, pin_files, pins_of, wheel_of
from .states import BLOB_STATE, name_of_state
from .user_files import read_text

if TYPE_CHECKING:
    from ..schedules.artifact import Artifact
    from ..schedules.task import Schedule

_BOTH = (
    *('pins_from', 'ran_within', 'strict_pins', 'alias', 'workspace', 'impact', 'order', 'single_region'),
    *('concurrency', 'max_deletions', 'max_percent'),
)
_PLAN = (
    *('repository', 'ago', 'before', 'age_by', 'keep', 'include', 'filter', 'match', 'exclude', 'untagged'),
    *('untagged_only', 'include_locked', 'keep_semver', 'keep_per', 'keep_untagged', 'pulled_within'),
    *_BOTH,
)
_APPLY = (*_BOTH, 'no_strict_pins', 'archive', 'archive_content', 'new_archive', 'validate')
_DEFAULTS: Mapping[str, object] = {
    'age_by': 'updated',
    'keep': 0,
    'keep_semver': 0,
    'impact': 'exact',
    'order': 'oldest',
    'concurrency': 32,
    'archive_content': 'all',
}
_REPEATED = {'filter', 'match', 'exclude', 'keep_per'}
_STATE = '--state'
_OWN = re.compile(r'policy\.yaml|pins\.zip|option-[0-9a-f]+\.txt|acrprune-[^/]+\.whl|pins-[0-9]+/.*', re.DOTALL)
"""Names of files of a schedule, in place of which no pins may come."""
DEFAULT_TIME_LIMIT = 7_200


@dataclass(frozen=True)
class DraftedSchedule:
    """A schedule with the files of its artifact. `wheel` is the one among them that is this extension."""

    schedule: Schedule
    files: Mapping[str, bytes]
    wheel: str

    @property
    def artifact(self) -> Artifact:
        from ..schedules.artifact import artifact_of

        return artifact_of(self.schedule.document(), self.files)


def draft_of(cmd: Command, options: ScheduleOptions, arguments: Arguments) -> DraftedSchedule:
    """The schedule that the options describe. Raises CLIError for what cannot be there when it runs."""
    from ..schedules.task import IMAGE, PINS_FILE, POLICY_FILE, Schedule, words_of

    version, wheel, data = wheel_of(installed_package())
    files: dict[str, bytes] = {wheel: data}
    plan, apply = _given(arguments, _PLAN), _given(arguments, _APPLY)
    common = _common(cmd, options, arguments)
    named, pinned = pins_of(arguments.get('pins') or ())  # type: ignore[arg-type]
    if options.policy_file is not None:
        files[POLICY_FILE] = _policy(options.policy_file, pinned)
        plan.append(('--policy', POLICY_FILE))
    if named:
        common.append(('--pins', named))
    if pinned:
        from ..schedules.artifact import zipped

        files[PINS_FILE] = zipped(pinned)
    schedule = Schedule(
        options.name,
        version,
        options.image or IMAGE,
        bool(options.enforce),
        _time_limit(options),
        words_of([*common, *plan], files),
        words_of([*common, *apply], files),
        bool(options.report_artifact),
    )
    return DraftedSchedule(schedule, files, wheel)


def redrafted(cmd: Command, options: ScheduleOptions, schedule: Schedule, files: dict[str, bytes]) -> DraftedSchedule:
    """A schedule as it is, with what the options change, and with this version of the extension."""
    from ..schedules.artifact import unzipped, zipped
    from ..schedules.task import PINS_FILE, POLICY_FILE

    version, wheel, data = wheel_of(installed_package())
    kept = {name: content for name, content in files.items() if not name.endswith('.whl')}
    kept[wheel] = data
    if options.policy_file is not None:
        if POLICY_FILE not in kept:
            raise PruneError(
                f"The schedule '{schedule.name}' has options and no policy.",
                'Make it anew by `schedule create`, with --policy.',
                Kind.INVALID,
            )
        schedule = _with_state(schedule, _state_of(cmd, options), kept)
        pinned: dict[str, bytes] = {}
        kept[POLICY_FILE] = _policy(options.policy_file, pinned)
        if pinned:
            before = unzipped(kept[PINS_FILE]) if PINS_FILE in kept else {}
            kept[PINS_FILE] = zipped({**before, **pinned})
    schedule = replace(
        schedule,
        version=version,
        image=options.image or schedule.image,
        enforce=schedule.enforce if options.enforce is None else options.enforce,
        report_artifact=schedule.report_artifact if options.report_artifact is None else options.report_artifact,
        time_limit=_time_limit(options) if options.run_limit else schedule.time_limit,
    )
    return DraftedSchedule(schedule, kept, wheel)


def _given(arguments: Arguments, names: Iterable[str]) -> list[tuple[str, Any]]:
    """(option, value) of each argument that says anything but its default."""
    found: list[tuple[str, Any]] = []
    for name in names:
        value = arguments.get(name)
        if value is None or value is False or value == _DEFAULTS.get(name):
            continue
        option = '--' + name.replace('_', '-')
        found += [(option, each) for each in value] if name in _REPEATED else [(option, value)]  # type: ignore[attr-defined]
    return found


def _common(cmd: Command, options: ScheduleOptions, arguments: Arguments) -> list[tuple[str, Any]]:
    """What both steps are told in other words than this command."""
    common: list[tuple[str, Any]] = []
    if arguments.get('max_rate') is not None:
        common.append(('--max-rate', f'{arguments["max_rate"]}/min'))
    state = _state_of(cmd, options)
    _refuse_directory('--archive', arguments.get('archive'))
    if state:
        common.append((_STATE, state))
    return common


def _state_of(cmd: Command, options: ScheduleOptions) -> str | None:
    """The state of a new schedule, or of one with a new policy. Raises PruneError."""
    state = name_of_state(cmd, StateOptions(options.state, policy_file=options.policy_file))
    _refuse_directory(_STATE, state)
    return state


def _refuse_directory(option: str, place: object) -> None:
    if place is not None and not str(place).startswith(BLOB_STATE):
        raise PruneError(
            f'{option}: a directory is gone when a run of ACR Tasks is over.',
            'Give azure-blob:ACCOUNT/CONTAINER.',
            Kind.INVALID,
        )


def _with_state(schedule: Schedule, state: str | None, files: dict[str, bytes]) -> Schedule:
    """The schedule with another state, unless the one that it has was named by something else than its policy.

    `files` are those that it had with that policy; there may be one more for the state.
    """
    from ..policy.named_state import state_named
    from ..policy.parsing import PolicyError
    from ..schedules.task import POLICY_FILE, words_of

    try:
        named = state_named(files[POLICY_FILE].decode())
    except PolicyError:  # an older version of this extension took it
        named = None
    before = words_of([(_STATE, named)], {}) if named else ()
    if _split_state(schedule.plan_words)[0] != before:
        return schedule
    given = words_of([(_STATE, state)], files) if state else ()
    plan, apply = (given + _split_state(words)[1] for words in (schedule.plan_words, schedule.apply_words))
    return replace(schedule, plan_words=plan, apply_words=apply)


def _split_state(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the option of the state with its value, the other words)"""
    at = words.index(_STATE) if _STATE in words else len(words)
    return words[at : at + 2], words[:at] + words[at + 2 :]


def _policy(path: str, pinned: dict[str, bytes]) -> bytes:
    """The bytes of a valid policy; adds the files with pins that it names, which are beside it when it runs, too."""
    from ..schedules.task import POLICY_FILE
    from .selecting import read_policy

    own: dict[str, bytes] = {}
    policy, folder = read_policy(path), os.path.dirname(path)
    for named in policy.sources.paths:
        place = os.path.relpath(named, folder or '.')
        if place.startswith('..') or os.path.isabs(place):
            raise PruneError(
                f"The policy '{path}' names pins outside its folder: '{named}'.",
                'Put them beside the policy, or name them with --pins.',
                Kind.INVALID,
            )
        own.update(pin_files(named, place.replace(os.sep, '/')))
    if os.path.basename(path) == POLICY_FILE:
        own.pop(POLICY_FILE, None)  # it is beside its pins, and in the artifact already
    taken = next((name for name in own if _OWN.fullmatch(name)), None)
    if taken:
        raise PruneError(
            f"'{taken}' is beside the policy or among its pins, and a schedule has another file of this name.",
            'Put the pins into a folder of their own, or give the file another name.',
            Kind.INVALID,
        )
    pinned.update(own)
    return read_text(path).encode()


def _time_limit(options: ScheduleOptions) -> int:
    from ..schedules.task import longest_time_limit

    limit = options.run_limit or DEFAULT_TIME_LIMIT
    if limit > longest_time_limit():
        raise PruneError(
            '--time-limit: a run of ACR Tasks ends after 8 hours, and two steps have this time each.',
            f'Give at most {longest_time_limit() // 60}m.',
            Kind.INVALID,
        )
    return limit
