"""The arrows of the design, checked on the syntax trees: data flows one way.

pins -> policy -> credentials -> registry client -> inventory -> graph -> decision -> impact -> plan -> show | apply
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'azext_acrprune'

# {room: rooms, or single modules of another room, that it may import}
MAY_IMPORT = {
    'model': set(),
    'redaction': set(),
    'prune_error': {'redaction'},
    'spelling': set(),
    'reporter': set(),
    'workers': set(),
    'timelimit': set(),
    'state_files': set(),
    'exit_reasons': {'model'},
    'pins': {'prune_error', 'pins', 'model', 'spelling'},
    'sources': {'prune_error', 'sources', 'pins', 'model', 'spelling', 'state_files'},
    'policy': {'prune_error', 'policy', 'pins', 'model', 'spelling'},
    'decide': {'prune_error', 'decide', 'pins', 'policy', 'model', 'spelling'},
    'documents': {'exit_reasons', 'prune_error', 'documents', 'decide', 'pins', 'policy', 'model', 'spelling'},
    'usage': {'exit_reasons', 'usage', 'documents', 'decide', 'pins', 'policy', 'model', 'spelling'},
    'registry': {'prune_error', 'redaction', 'registry', 'model', 'spelling', 'timelimit', 'workers'},
    'inventory': {
        'prune_error',
        'inventory',
        'registry',
        'decide',
        'pins',
        'policy',
        'model',
        'reporter',
        'state_files',
        'workers',
    },
    'archive': {
        'exit_reasons',
        'prune_error',
        'archive',
        'decide',
        'registry',
        'model',
        'reporter',
        'spelling',
        'state_files',
        'timelimit',
        'workers',
    },
    'schedules': {'schedules', 'model'},
    'state': {'prune_error', 'archive.azure_blob', 'archive.azure_calls', 'state', 'state_files'},
    'apply': {
        'prune_error',
        'apply',
        'inventory',
        'registry',
        'decide',
        'pins',
        'model',
        'reporter',
        'spelling',
        'state_files',
        'workers',
    },
    'show': {'exit_reasons', 'show', 'decide.reasons', 'model', 'reporter', 'spelling'},
    '_help': set(),
    '_errors': {'prune_error', 'spelling'},
    '_validators': {'decide', 'documents', 'pins', 'policy', '_registry_validators'},
    '_registry_validators': {'registry.protocol.hosts'},
    '_place_validators': {'_errors'},
    '_params': {'_own_params', '_schedule_params', '_shared_params'},
    '_schedule_params': {'_own_params', '_registry_validators', '_schedule_validators', '_validators'},
    '_schedule_validators': {'schedules', '_validators'},
    '_own_params': {'_place_validators', '_registry_validators', '_validators'},
    '_shared_params': {'_place_validators', '_registry_validators', '_validators'},
    'commands': {'show', 'documents.schemas'},
    'custom': {
        'custom',
        '_errors',
        'apply',
        'archive',
        'decide',
        'documents',
        'exit_reasons',
        'inventory',
        'model',
        'pins',
        'policy',
        'prune_error',
        'redaction',
        'registry',
        'reporter',
        'schedules',
        'show',
        'sources',
        'spelling',
        'state',
        'timelimit',
        'usage',
        'workers',
    },
    '__init__': {'_help', '_params', '_place_validators', 'commands'},
}
MAY_USE_AZURE_CLI = {
    '_errors.py',
    '_place_validators.py',
    '_registry_validators.py',
    '_validators.py',
    '_params.py',
    '_own_params.py',
    '_schedule_params.py',
    '_schedule_validators.py',
    '_shared_params.py',
    'commands.py',
    '__init__.py',
    'registry/credentials.py',
}
PURE_ROOMS = (
    'pins/',
    'policy/',
    'decide/',
    'documents/',
    'usage/',
    'schedules/',
    'registry/protocol/',
    'archive/pure/',
)
PURE_FILES = {'exit_reasons.py', 'model.py', 'prune_error.py', 'redaction.py', 'spelling.py', 'timelimit.py'}
PURE_PARTS = {'requests.utils'}
"""Its parser of `Link` headers only reads a text."""
IMPURE_LIBRARIES = {
    'azure',
    'knack',
    'requests',
    'random',
    'time',
    'logging',
    'os',
    'threading',
    'socket',
    'aiohttp',
    'asyncio',
}

FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob('*.py'))


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse((PACKAGE / name).read_text())


@cache
def nodes_of(name: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree_of(name)))


def imports(name: str) -> Iterator[tuple[str, bool]]:
    """(module, whether it is ours) of every import in a file, relative ones resolved, inside functions too."""
    folder = Path(name).parent.parts
    for node in nodes_of(name):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _ours(alias.name)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield _ours(node.module)
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(folder[: len(folder) - node.level + 1])
            for module in [node.module] if node.module else [alias.name for alias in node.names]:
                yield '.'.join(part for part in (base, module) if part), True


def _ours(module: str) -> tuple[str, bool]:
    head, _, rest = module.partition('.')
    return (rest, True) if head == 'azext_acrprune' and rest else (module, False)


def room(name: str) -> str:
    return Path(name).parts[0].removesuffix('.py')


def is_pure(name: str) -> bool:
    return name.startswith(PURE_ROOMS) or name in PURE_FILES


@pytest.mark.parametrize('name', FILES)
def test_a_room_imports_only_what_stands_left_of_it(name):
    for module, ours in imports(name):
        if ours:
            allowed = MAY_IMPORT[room(name)]
            assert module in allowed or module.partition('.')[0] in allowed, f'{name} imports {module}'


@pytest.mark.parametrize('name', FILES)
def test_only_the_edge_knows_azure_cli(name):
    if name not in MAY_USE_AZURE_CLI and not name.startswith('custom/'):
        for module, _ in imports(name):
            assert not module.startswith('azure.cli'), f'{name} imports {module}'


@pytest.mark.parametrize('name', filter(is_pure, FILES))
def test_decisions_are_pure(name):
    for module, ours in imports(name):
        pure = module in PURE_PARTS or module.partition('.')[0] not in IMPURE_LIBRARIES
        assert ours or pure, f'{name} imports {module}'


@pytest.mark.parametrize('name', filter(is_pure, FILES))
def test_what_is_pure_imports_of_ours_only_what_is_pure(name):
    for module, ours in imports(name):
        path = module.replace('.', '/')
        assert not ours or is_pure(f'{path}.py') or is_pure(f'{path}/'), f'{name} imports {module}'


@pytest.mark.parametrize('name', [name for name in FILES if room(name) == 'decide'])
def test_a_record_of_what_is_decided_cannot_be_changed(name):
    for node in nodes_of(name):
        for mark in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            text = ast.unparse(mark)
            assert 'dataclass' not in text or 'frozen=True' in text, f'{node.name} of {name} can be changed'


LEFT_TO_LIBRARIES = {'socket', 'selectors', 'select', 'ssl', 'http', 'urllib3', 'asyncio.streams', 'asyncio.transports'}
NEEDS = {'registry/transport.py': {'ssl'}}
"""A context of certificates is what aiohttp wants to be given."""
HTTP_BY_HAND = re.compile(r'HTTP/\d|Content-Length|Transfer-Encoding|\.(?:recv|sendall|add_reader|wrap_socket)\(')
NAMED_TUPLE = {'_make', '_replace', '_asdict', '_fields'}
"""Public in spite of their names, as the standard library says."""


@pytest.mark.parametrize('name', FILES)
def test_no_code_of_ours_reads_or_writes_http_or_watches_sockets(name):
    for module, ours in imports(name):
        heads = {module, module.partition('.')[0]}
        assert ours or not heads & LEFT_TO_LIBRARIES - NEEDS.get(name, set()), f'{name} imports {module}'
    found = HTTP_BY_HAND.search((PACKAGE / name).read_text())
    assert not found, f'{name} writes or reads HTTP: {found[0]}'


@pytest.mark.parametrize('name', FILES)
def test_private_names_of_others_are_left_alone(name):
    """A private attribute is asked of `self` alone, and is defined in one of our files."""
    for node in private_attributes(name):
        of_self = isinstance(node.value, ast.Name) and node.value.id in ('self', 'cls')
        assert of_self and node.attr in ours(), f'{name} uses {ast.unparse(node)}'


def test_nothing_is_known_by_its_place_in_memory():
    """What a key stands for has to be read where it is used, and another object may come to that place."""
    calls = ((name, node.func) for name in FILES for node in nodes_of(name) if isinstance(node, ast.Call))
    assert [name for name, called in calls if isinstance(called, ast.Name) and called.id == 'id'] == []


def private_attributes(name: str) -> list[ast.Attribute]:
    nodes = nodes_of(name)
    found = [node for node in nodes if isinstance(node, ast.Attribute)]
    return [node for node in found if re.match(r'_[a-z]', node.attr) and node.attr not in NAMED_TUPLE]


def defined(name: str) -> Iterator[str]:
    """What a file defines: functions, fields, and attributes that it gives a value."""
    for node in nodes_of(name):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.AnnAssign):
            yield getattr(node.target, 'id', getattr(node.target, 'attr', ''))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


@cache
def ours() -> set[str]:
    return {each for name in FILES for each in defined(name)}


TWICE = {'SCHEMA_VERSION'}
"""Names of one thing that there is several times: each document, and the cache, has the version of its own schema."""


def names_and_places() -> Iterator[tuple[str, str]]:
    """(name, file) of every module, of every class, and of every constant that other modules may import."""
    for name in FILES:
        if not name.endswith('__init__.py'):
            yield Path(name).name, name
        for node in tree_of(name).body:
            if isinstance(node, ast.ClassDef):
                yield node.name, name
            elif isinstance(node, ast.Assign):
                targets = (each for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name))
                yield from ((each.id, name) for each in targets if re.match(r'[A-Z][A-Z0-9_]*\Z', each.id))


def test_one_name_stands_for_one_thing():
    places: dict[str, list[str]] = {}
    for name, place in names_and_places():
        places.setdefault(name, []).append(place)
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert set(twice) == TWICE, {name: where for name, where in twice.items() if name not in TWICE}
