"""Values of charts that are laid over others: those of a stage over those of the chart, and those of a chart over those
of the charts in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from .around import global_registries, group_and_part, host_of, plain
from .references import RegistryNames
from .scopes import Scope, Value

_VALUES = re.compile(r'(?:.*[-_.])?values(?:[-_.].*)?\.ya?ml', re.IGNORECASE)
_PLAIN = ('values.yaml', 'values.yml')
_OF_STAGES = frozenset(
    ('values', 'env', 'envs', 'environment', 'environments', 'overlays', 'stages', 'config', 'deploy')
)
_OVERLAID = frozenset(('tag', 'newtag', 'digest', 'sha256', 'version', 'registry', 'repository', 'repo', 'image'))
_GIVING = frozenset(('values', 'valuesobject', 'valuescontent', 'set', 'setstring', 'command', 'parameters', 'helm'))
_NAMING = ('chart', 'path', 'chartPath', 'name')
_PATH = re.compile(r'(?:\.{1,2}/)*[\w-][\w.-]*(?:/[\w.-]+)+/?|(?:\.{1,2}/)+[\w.-]+')
_MOST_PATHS = 60
_GIVES_GLOBAL = re.compile(
    r'\bglobal\.[\w.]{0,60}registry["\']?\s*[=:,]?\s*(?:value["\']?\s*[=:]\s*)?["\']?'
    r'(?P<registry>[\w.-]+(?:/[\w./-]*)?)',
    re.IGNORECASE,
)
_AFTER_HOST = r'(?P<path>(?:/[\w.-]+)*?)/?(?=\{\{|%s|\$|["\'\s]|\Z)'


@dataclass(frozen=True, eq=False)
class Base:
    """Values below others: the document `root`, under the `keys` where it stands; those of a `chart` that a file gives
    values to stand wherever these are given.
    """

    root: Scope
    keys: tuple[str, ...] = ()
    chart: str = ''


def is_values(path: str) -> bool:
    """Whether a file has values of Helm, by its name or the folder that it is in."""
    steps = PurePosixPath(path)
    return _VALUES.fullmatch(steps.name) is not None or _is_of_stage(steps)


def is_plain_values(path: str) -> bool:
    """Whether a file has the values of a chart itself, and not those of a stage."""
    return PurePosixPath(path).name in _PLAIN


def _is_of_stage(steps: PurePosixPath) -> bool:
    folders = {part.lower() for part in steps.parts[-3:-1]}
    return steps.suffix in ('.yaml', '.yml') and not folders.isdisjoint(_OF_STAGES)


def overlaid(path: str) -> Iterator[str]:
    """Where the values may be that a file of values is laid over, the nearest first; `path` is relative to the top."""
    steps = PurePosixPath(path)
    is_plain = steps.name in _PLAIN
    if is_plain and steps.parts[-3:-2] == ('charts',):
        return
    for up in ('', '../', '../../') if not is_plain else ('../', '../../'):
        yield from (f'{up}{name}' for name in _PLAIN if up or name != steps.name)


def umbrella_of(path: str) -> tuple[str, str] | None:
    """The folder of the chart that has the chart of a file in its `charts`, and the name of the latter."""
    parts = PurePosixPath(path).parts
    places = [at for at, part in enumerate(parts[:-2]) if part == 'charts']
    return ('/'.join(parts[: places[-1]]), parts[places[-1] + 1]) if places else None


def dependencies(chart: Scope) -> Iterator[tuple[str, str]]:
    """(the key under which its values stand, the folder) of each chart that `Chart.yaml` names and that is near."""
    for item in (chart.items or {}).get('dependencies', ()):
        names = [value.text for value in item.entries.get('name', ())]
        keys = [value.text for value in item.entries.get('alias', ())] or names
        places = [value.text for value in item.entries.get('repository', ()) if value.text.startswith('file://')]
        folder = places[0].removeprefix('file://') if places else f'charts/{names[0]}' if names else ''
        if keys and folder:
            yield keys[0], folder


def part_for(name: str, root: Scope) -> Scope:
    """What the values of a chart say for a chart in it, and for all: as a document of its own."""
    found = Scope(key=name, file=root.file)
    for child in root.children.get(name, ())[:1]:
        found.entries, found.declared, found.items = child.entries, child.declared, child.items
        found.children = dict(child.children)
    if 'global' in root.children:
        found.children['global'] = root.children['global']
    return found


def take_parts(scope: Scope, around: Scope, bases: Sequence[Base]) -> None:
    """Add the parts of an image that the values below say at the same place, where this scope says others of it."""
    own = {group_and_part(key) for key in scope.entries}
    groups = {group for group, part in own if part in _OVERLAID}
    if not groups:
        return
    given = _given_to_chart(scope) if any(base.chart for base in bases) else None
    path = _path(scope, around)
    meant = _meant(scope, [base for base in bases if base.chart]) if given is not None else []
    for base in bases:
        place = path if not base.chart else given if base in meant else None
        if place is not None and place[: len(base.keys)] == base.keys:
            for below in _at(base.root, place[len(base.keys) :]):
                for key, values in below.entries.items():
                    group, part = group_and_part(key)
                    if part and (group in groups or not group) and (group, part) not in own:
                        file = base.root.file
                        scope.entries.setdefault(key, [replace(each, file=each.file or file) for each in values])
            own = {group_and_part(key) for key in scope.entries}


def _given_to_chart(scope: Scope) -> tuple[str, ...] | None:
    """Where in the values of a chart something stands that another file gives to it; None where nothing is given."""
    steps: list[str] = []
    for here in scope.around():
        if plain(here.key) in _GIVING or 'chart' in here.entries and here is not scope:
            return tuple(reversed(steps))
        steps += reversed(here.key.split('.')) if here.key and not here.listed else []
    return None


def _meant(scope: Scope, bases: Sequence[Base]) -> list[Base]:
    """The charts that are named around a scope; where none is, the only one that the file names."""
    texts = [value.text for here in scope.around() for key in _NAMING for value in here.entries.get(key, ())]
    texts += [use.value.text for here in scope.around() if here.key == 'command' for use in here.uses]
    for here in scope.around():
        for child in here.children.get('chart', ()):
            texts += [value.text for each in child.below() for value in each.entries.get('chart', ())]
    found = [
        base for base in bases if any(re.search(rf'(?:\A|[/\s]){re.escape(base.chart)}/?(?:\s|\Z)', t) for t in texts)
    ]
    return found or list(bases if len({base.chart for base in bases}) == 1 else ())


def charts_in(text: str) -> Iterator[str]:
    """The paths in a text that may be folders of charts."""
    if 'helm' in text.lower() or 'chart' in text.lower():
        found = dict.fromkeys(match[0].rstrip('/') for match in _PATH.finditer(text))
        yield from list(found)[:_MOST_PATHS]


def _path(scope: Scope, around: Scope) -> tuple[str, ...] | None:
    """The keys that lead to a mapping of a document; None where it is in a list."""
    steps: list[str] = []
    here: Scope | None = scope
    while here is not None and here.parent is not around:
        if here.listed:
            return None
        steps.append(here.key)
        here = here.parent
    return tuple(reversed(steps)) if here is not None else None


def _at(root: Scope, path: tuple[str, ...]) -> list[Scope]:
    found = [root]
    for step in path:
        found = [child for scope in found for child in scope.children.get(step, ())]
    return found


def hosts_in(text: str, file: str, names: RegistryNames) -> Iterator[Value]:
    """The registry, with the path that follows, wherever a template puts the name of an image behind it.

    It is weak: that is for images which say no registry.
    """
    for host in names.hosts:
        pattern = re.compile(rf'(?<![\w.-]){re.escape(host)}{_AFTER_HOST}', re.IGNORECASE)
        for match in pattern.finditer(text) if host in text.lower() else ():
            line = 1 + text.count('\n', 0, match.start())
            yield Value(f'{host}{match["path"]}', line, weak=True, file=file)


def globals_in(text: str, file: str, names: RegistryNames) -> Iterator[Value]:
    """This registry where a text gives it to a chart for all of its images: `--set global.imageRegistry=...`."""
    for match in _GIVES_GLOBAL.finditer(text) if 'global.' in text else ():
        if names.has(host_of(match['registry'])):
            yield Value(match['registry'].rstrip('/'), 1 + text.count('\n', 0, match.start('registry')), file=file)


def globals_of(root: Scope, names: RegistryNames) -> Iterator[Value]:
    """This registry where values name it for all images of a chart."""
    for values in global_registries(root):
        yield from (replace(value, file=root.file) for value in values if names.has(host_of(value.text)))
