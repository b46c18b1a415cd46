"""The task of a schedule: what its steps run, and the resource that ACR Tasks is given."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..model import Document
from .artifact import CHECKSUMS, REPORTS, REPOSITORY, artifact_of, checksums_of, digest_of, preview_tag

IMAGE = 'mcr.microsoft.com/azure-cli@sha256:23b520868509add054d385d90dc3fc5268f10a2f58947a994e30babe938e31ae'
"""The official image of azure-cli 2.88.0. docs/schedules.md says where the digest comes from."""
CLOUD = 'AzureCloud'
"""The cloud that az is in, in a new container."""
SYSTEM = '[system]'
"""The identity of the task itself, as `az acr task` writes it."""
POLICY_FILE, PINS_FILE, PLAN_FILE = 'policy.yaml', 'pins.zip', 'plan.json'
SUMMARY_QUERY = '{exitReason:exitReason,summary:summary}'
LONGEST_TASK_SECONDS = 28_800
"""No run of ACR Tasks may take longer."""
_BEFORE_SECONDS = 900
"""For signing in and installing, and for what a step does after its time limit."""
_TAG, _TAG_ENFORCES, _TAG_VERSION = 'acrprune-schedule', 'acrprune-enforce', 'acrprune-version'
_PREFIX = 'acrprune-'
_NAME = re.compile(r'[a-z0-9][a-z0-9-]{0,38}[a-z0-9]\Z')
_PLAIN = re.compile(r'[\w.,:/@%+=*^~#?()\[\]|<> -]*\Z', re.ASCII)
"""What ACR Tasks takes as it is in a step: it gives `$` and `{{` a meaning of its own."""


@dataclass(frozen=True)
class Schedule:
    """All that the artifact of a schedule is made from, but the files.

    `plan_words` and `apply_words` are the options of both steps; an option's value that ACR Tasks would read as
    something else is `@FILE`, a file of the artifact. With `report_artifact` each run pushes its report.
    """

    name: str
    version: str
    image: str
    enforce: bool
    time_limit: int
    plan_words: tuple[str, ...] = ()
    apply_words: tuple[str, ...] = ()
    report_artifact: bool = False

    def document(self) -> Document:
        return {**asdict(self), 'plan_words': list(self.plan_words), 'apply_words': list(self.apply_words)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Schedule:
        """What `document` gave. Raises KeyError, TypeError or ValueError for what is none."""
        words = {name: tuple(document[name]) for name in ('plan_words', 'apply_words')}
        found = cls(**{**document, **words})
        texts = (found.name, found.version, found.image, *found.plan_words, *found.apply_words)
        if not all(isinstance(text, str) for text in texts) or not isinstance(found.time_limit, int):
            raise ValueError('it is not of a schedule')
        return found


@dataclass(frozen=True)
class Timing:
    """What only the task knows of a schedule: when, as whom, and where it runs.

    `identity` is a resource id or `[system]`. With `source_identity` the task pulls its artifact, too: `[system]` or a
    client id.
    """

    cron: str
    identity: str
    agent_pool: str | None = None
    enabled: bool = True
    source_identity: str | None = None


def check_name(name: str) -> str:
    """Raises ValueError for what cannot be the name of a tag and of a task."""
    if not _NAME.match(name):
        raise ValueError(f"'{name}' is not 2 to 40 small letters, digits and dashes")
    return name


def task_name(name: str) -> str:
    return f'{_PREFIX}{name}'


def report_tag(name: str) -> str:
    """Where the runs of a schedule push their reports to."""
    return f'{REPORTS}:{name}'


def longest_time_limit() -> int:
    """Two steps have it, and the run has an end."""
    return (LONGEST_TASK_SECONDS - 2 * _BEFORE_SECONDS) // 2


def words_of(options: Iterable[tuple[str, Any]], files: dict[str, bytes]) -> tuple[str, ...]:
    """Options as words of a command; adds a file for each value that has to be in one."""
    words: list[str] = []
    for option, value in options:
        words.append(option)
        for text in () if value is True else value if isinstance(value, (list, tuple)) else (value,):
            words.append(_word(str(text), files))
    return tuple(words)


def _word(text: str, files: dict[str, bytes]) -> str:
    if _PLAIN.match(text) and not text.startswith(('@', '-')):
        return text
    name = f'option-{digest_of(text.encode())[7:19]}.txt'
    files[name] = text.encode()
    return f'@{name}'


def steps_of(
    schedule: Schedule, identity: str, registry: str, wheel: str, files: Mapping[str, bytes], *, cloud: str = CLOUD
) -> list[Document]:
    """Each step: its id, and what it runs, as a shell reads it. `cloud` is that of the registry, by az's name."""
    checksum = digest_of(checksums_of(files)).removeprefix('sha256:')
    verify = f"echo '{checksum}  {CHECKSUMS}' | sha256sum --check --strict && sha256sum --check --strict {CHECKSUMS}"
    if PINS_FILE in files:
        verify += f' && python3 -m zipfile -e {PINS_FILE} .'
    login = ['az', 'login', '--identity', *(() if identity == SYSTEM else ('--resource-id', identity))]
    target = ['-r', registry, '--time-limit', f'{schedule.time_limit}s']
    place = f'state:{schedule.name}' if '--state' in schedule.plan_words else PLAN_FILE
    plan = ['az', 'acr', 'prune', 'plan', *target, *schedule.plan_words, '--out', place, '--output', 'table']
    artifact = artifact_of(schedule.document(), files).digest
    consent = ['--yes', '--preview-tag', f'{REPOSITORY}:{preview_tag(schedule.name)}@{artifact}']
    apply = ['az', 'acr', 'prune', 'apply', *target, '--plan', place, *schedule.apply_words]
    apply += [*(consent if schedule.enforce else ['--dry-run']), '--query', SUMMARY_QUERY, '--output', 'json']
    if schedule.report_artifact:
        apply += ['--report-tag', report_tag(schedule.name)]
    commands = {
        'verify': ['sh', '-c', verify],
        **({} if cloud == CLOUD else {'cloud': ['az', 'cloud', 'set', '--name', cloud, '--output', 'none']}),
        'login': [*login, '--output', 'none'],
        'extension': ['az', 'extension', 'add', '--source', wheel, '--upgrade', '--yes'],
        'plan': plan,
        'apply': apply,
    }
    return [{'id': step, 'cmd': f'{schedule.image} {shlex.join(words)}'} for step, words in commands.items()]


def yaml_of(steps: Iterable[Document], time_limit: int) -> str:
    """The steps as a file of ACR Tasks. Texts are written as JSON, which YAML reads."""
    lines = ['version: v1.1.0', f'stepTimeout: {time_limit + _BEFORE_SECONDS}', 'steps:']
    for step in steps:
        lines += [f'  - id: {step["id"]}', f'    cmd: {json.dumps(step["cmd"])}']
    return '\n'.join(lines) + '\n'


def task_document(schedule: Schedule, timing: Timing, yaml: str, location: str, host: str) -> Document:
    """The resource of the task, as ARM is given it."""
    is_system = timing.identity == SYSTEM
    own = {'type': 'SystemAssigned'}
    identity = own if is_system else {'type': 'UserAssigned', 'userAssignedIdentities': {timing.identity: {}}}
    source = {'sourceRegistry': {'identity': timing.source_identity}}
    return {
        'location': location,
        'tags': {_TAG: schedule.name, _TAG_ENFORCES: str(schedule.enforce).lower(), _TAG_VERSION: schedule.version},
        'identity': identity,
        'properties': {
            'status': 'Enabled' if timing.enabled else 'Disabled',
            'platform': {'os': 'Linux', 'architecture': 'amd64'},
            'agentConfiguration': {'cpu': 2},
            **({'agentPoolName': timing.agent_pool} if timing.agent_pool else {}),
            'timeout': min(2 * (schedule.time_limit + _BEFORE_SECONDS), LONGEST_TASK_SECONDS),
            'step': {
                'type': 'EncodedTask',
                'encodedTaskContent': base64.b64encode(yaml.encode()).decode(),
                'contextPath': f'oci://{host}/{REPOSITORY}:{schedule.name}',
            },
            'trigger': {'timerTriggers': [{'name': 'schedule', 'schedule': timing.cron, 'status': 'Enabled'}]},
            **({'credentials': source} if timing.source_identity else {}),
        },
    }


def schedule_of_task(task: Mapping[str, Any]) -> str | None:
    """The name of the schedule that a task is; None for a task of somebody else."""
    name = (task.get('tags') or {}).get(_TAG)
    return str(name) if name and task.get('name') == task_name(str(name)) else None


def facts_of(task: Mapping[str, Any]) -> Document:
    """What a task says of its schedule."""
    properties, tags = task['properties'], task.get('tags') or {}
    timers = (properties.get('trigger') or {}).get('timerTriggers') or [{}]
    return {
        'cron': timers[0].get('schedule'),
        'enabled': str(properties.get('status')).lower() == 'enabled',
        'enforce': tags.get(_TAG_ENFORCES) == 'true',
        'identity': identity_of(task),
        'agentPool': properties.get('agentPoolName'),
        'extensionVersion': tags.get(_TAG_VERSION),
    }


def identity_of(task: Mapping[str, Any]) -> str | None:
    """The identity as it was given."""
    identity = task.get('identity') or {}
    given = sorted(identity.get('userAssignedIdentities') or ())
    return given[0] if given else SYSTEM if identity.get('type') else None


def timing_of(task: Mapping[str, Any]) -> Timing:
    """When, as whom and where a task runs; the timer and the identity are empty where somebody took them away."""
    facts = facts_of(task)
    source = (task['properties'].get('credentials') or {}).get('sourceRegistry') or {}
    return Timing(
        facts['cron'] or '', facts['identity'] or '', facts['agentPool'], facts['enabled'], source.get('identity')
    )


def yaml_of_task(task: Mapping[str, Any]) -> str:
    return base64.b64decode((task['properties'].get('step') or {}).get('encodedTaskContent') or '').decode()


def image_of_task(task: Mapping[str, Any]) -> str | None:
    """The image that the first step of a task runs in; None where somebody else wrote the steps."""
    mark = '    cmd: '
    try:
        commands = [line[len(mark) :] for line in yaml_of_task(task).splitlines() if line.startswith(mark)]
        return str(json.loads(commands[0])).partition(' ')[0]
    except (ValueError, IndexError, RecursionError):
        return None


def is_as_wanted(there: Any, wanted: Any) -> bool:
    """Whether a resource says all that is wanted; the service adds words of its own."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(is_as_wanted(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(is_as_wanted, there, wanted))
    return bool(there == wanted)
