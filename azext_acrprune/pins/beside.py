"""Which files belong together, so that one takes values from another: by convention, or because one names the other.

A file that is named takes what is handed to it where it is named, as modules and templates do; one that names another
takes all that the other says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from .around import plain
from .languages import DOCKERFILE
from .scopes import Scope, Value

LARGEST = 512 * 1024
"""Larger files are lists of what runs, and no settings."""

_MOST_GIVEN = 200
_BEGINNING = 1_000
_SHORTEST_NAME = 6
_BUILDS = ('args', 'buildargs')
_BUILD_ARGUMENT = re.compile(r'--build-arg(?:=|\s+)["\']?(\w{1,100})=(?:"([^"]*)"|([^\s"\'\\]+))')
_GIVEN_ARGUMENT = re.compile(r'\s*["\']?(\w{1,100})=["\']?([^\s"\']+)["\']?\s*\Z')
_MAY_BUILD = re.compile(r'build|args', re.IGNORECASE)
_CALLING = ('template', 'uses', 'source', 'using', 'module', 'file', 'path', 'import_tasks', 'include_tasks')
_INCLUDING = ('include', 'local', 'file')
_HANDED = ('parameters', 'params', 'with', 'inputs', 'vars', 'variables', 'values', 'env', 'args', 'arguments')
_YAML = r'\.ya?ml'
_CONVENTIONS = tuple(
    (re.compile(taker, re.IGNORECASE), re.compile(giver, re.IGNORECASE))
    for taker, giver in (
        (r'\.(?:tf|tf\.json|hcl|nomad)', r'\.(?:tf|tfvars|auto\.tfvars|tfvars\.json|vars|pkrvars\.hcl)'),
        (rf'(?:.*(?:compose|stack)[^/]*){_YAML}', r'(?:[^/]*)\.env(?:\.[^/]*)?'),
        (r'[^/]*\.gradle(?:\.kts)?', r'(?:\.\./)?gradle\.properties'),
        (rf'[^/]*template[^/]*{_YAML}', r'[^/]*\.params'),
        (r'[^/]*\.bicep', r'[^/]*(?:\.bicepparam|param[^/]*\.json)|(?:\.\./)?bicepconfig\.json'),
        (r'[^/]*\.json', r'[^/]*\.?param[^/]*\.json'),
        (r'[^/]*\.(?:ts|js|py|go|cs|java|fs)|Pulumi\.yaml', r'Pulumi\.[^/]+\.ya?ml'),
        (r'(?:.*/)?templates/.*|[^/]*\.tpl', rf'\.\./(?:values[^/]*{_YAML}|Chart\.yaml)'),
        (r'(?:.*/)?templates/[^/]+/[^/]+', rf'\.\./\.\./(?:values[^/]*{_YAML}|Chart\.yaml)'),
        (rf'values[^/]*{_YAML}', r'Chart\.yaml'),
        (
            rf'[^/]*(?:{_YAML}|\.j2)',
            rf'(?:\.\./){{0,9}}(?:(?:inventory|inventories|environments)/(?:[^/]*/)?)?'
            rf'(?:group_vars|host_vars|vars|defaults)/(?:[^/]*/)?[^/]*(?:{_YAML})?',
        ),
    )
)
_GIVING = re.compile(
    r'.*\.(?:ya?ml|jsonc?|toml|env|mk|sh|bash|bicep|bicepparam|tf|tfvars|hcl|py|ts|js|jsonnet|libsonnet|cue|groovy|ini'
    r'|properties|gradle|nix|star|bzl|props|ps1|psd1|conf|cfg|tpl|lock|versions|vars|params|auto|go|just)'
    r'|\.env.*|.*\.env\..*|justfile|makefile|versions',
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Neighbour:
    """A small text file near another one: its `path` as seen from there, and its text."""

    path: str
    text: str


def may_give(path: str) -> bool:
    """Whether a file may give values to others, by its name."""
    return _GIVING.fullmatch(PurePosixPath(path).name) is not None or bool(re.search(r'(?:group|host)_vars/', path))


def gives_by_convention(taker: str, giver: str) -> bool:
    """Whether a file, by a path whose last two steps matter, takes values from another one near it."""
    return any(
        (first.fullmatch(taker) or first.fullmatch(taker.rpartition('/')[2]) or _ends(first, taker))
        and (second.fullmatch(giver) or _ends(second, giver))
        for first, second in _CONVENTIONS
    )


def _ends(pattern: re.Pattern[str], name: str) -> bool:
    """Patterns that begin with a dot are the ends of names."""
    return pattern.pattern.startswith('\\.') and re.search(rf'(?:{pattern.pattern})\Z', name) is not None


def gives_by_marks(taker: str, giver: str) -> bool:
    """Whether a text takes values from another one by what both say at their beginning, as those of ytt do."""
    return '@ytt:data' in taker and '#@data/values' in giver[:_BEGINNING]


def names(text: str, path: str) -> bool:
    """Whether a text names a file."""
    name = PurePosixPath(path).name
    return len(name) >= _SHORTEST_NAME and name in text


def names_folder(text: str, folder: str) -> bool:
    """Whether a text names a folder with a path, as the sources of modules do."""
    return len(folder) > 1 and re.search(rf'/{re.escape(folder)}/?["\'\s?]', text) is not None


def handed(roots: Iterable[Scope], called: Iterable[str]) -> Scope:
    """What is handed to a file where other files name it (or its folder): each place gives the values of one run."""
    found = Scope()
    wanted = tuple(called)
    number = 0
    for root in roots:
        for scope in root.below(items=True):
            given = list(_given_by(scope, wanted, root)) if number < _MOST_GIVEN else []
            if given:
                number += 1
                for name, value in given:
                    origin = value.origin | {(f'handed to {wanted[0]}', number)}
                    file = value.file or root.file
                    found.declare(name, replace(value, weak=False, origin=origin, file=file))
    return found


def _given_by(scope: Scope, wanted: tuple[str, ...], root: Scope) -> Iterator[tuple[str, Value]]:
    if _calls(scope, wanted, _CALLING):
        yield from _given_in(scope)
    if (scope.key == 'include' or scope is root) and _calls(scope, wanted, _INCLUDING):  # GitLab
        for variables in root.children.get('variables', ()):
            yield from ((name, value) for name, values in variables.entries.items() for value in values)
    if DOCKERFILE.match(wanted[0]):
        yield from _build_arguments(scope, wanted)


def _build_arguments(scope: Scope, wanted: tuple[str, ...]) -> Iterator[tuple[str, Value]]:
    """The arguments that Compose and its cousins give to the build of a Dockerfile in a folder."""
    files = [PurePosixPath(value.text) for key in ('dockerfile', 'file') for value in scope.entries.get(key, ())]
    places = [PurePosixPath(value.text) for key in ('context', 'path') for value in scope.entries.get(key, ())]
    names = [file.name for file in files] or ['Dockerfile']
    folders = {place.name for place in (*places, *(file.parent for file in files))} - {'', '.', '..'}
    if wanted[0] not in names or folders and wanted[1] not in folders:
        return
    for key, children in scope.children.items():
        if plain(key) in _BUILDS:
            yield from (
                (name, value) for child in children for name, values in child.entries.items() for value in values
            )
    for key, values in scope.entries.items():
        for value in values if plain(key) in _BUILDS else ():
            for line in value.text.split('\n'):
                given = _GIVEN_ARGUMENT.match(line)
                if given:
                    yield given[1], replace(value, text=given[2])


def may_build(text: str) -> bool:
    """Whether a file may give arguments to builds."""
    return _MAY_BUILD.search(text) is not None


def command_arguments(text: str, file: str) -> Iterator[tuple[str, Value]]:
    """What commands give to builds: `docker build --build-arg TAG=1`."""
    for match in _BUILD_ARGUMENT.finditer(text) if '--build-arg' in text else ():
        yield match[1], Value(match[2] or match[3], 1 + text.count('\n', 0, match.start()), file=file)


def _calls(scope: Scope, wanted: tuple[str, ...], keys: tuple[str, ...]) -> bool:
    texts = [value.text for key in keys for value in scope.entries.get(key, ())]
    return any(re.search(rf'(?:\A|/){re.escape(name)}(?:[@?#].*)?/?\Z', text) for text in texts for name in wanted)


def _given_in(scope: Scope) -> Iterator[tuple[str, Value]]:
    for place in (scope, *(child for key in _HANDED for child in scope.children.get(key, ()))):
        for name, values in place.entries.items():
            for value in values:
                yield name, value
