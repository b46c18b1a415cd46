"""Every library that the extension imports is there: with az itself, or because requirements.txt asks for it."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import metadata, packages_distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
ONLY_ELSEWHERE = {'async-timeout', 'typing-extensions'}
"""What some versions of Python need, and others do not."""


@pytest.mark.skipif(sys.version_info < (3, 11), reason='Python 3.10 does not know the imports of each distribution')
def test_every_import_is_of_az_or_required():
    distributions = packages_distributions()
    there = {each for name in ('azure-cli', *required()) for each in needed_by(name)}
    for library in sorted(set(imported())):
        if plain(library) in ONLY_ELSEWHERE:
            continue
        owners = {plain(owner) for owner in distributions.get(library, ())}
        assert owners & there, f"'{library}' is neither of azure-cli nor in requirements.txt"


def test_nothing_is_required_that_az_has():
    assert not required() & set(needed_by('azure-cli'))


def test_everything_that_is_required_is_imported():
    code = '\n'.join(path.read_text() for path in (ROOT / 'azext_acrprune').rglob('*.py'))
    for name in required():
        module = name.replace('azure-', 'azure.')
        assert re.search(rf'^\s*(?:from|import) {re.escape(module)}\b', code, re.M), f'{name} is not used'


def test_every_package_that_is_installed_is_in_the_list_of_licences():
    page = (ROOT / 'docs' / 'architecture.md').read_text().partition('\n## Licences\n')[2]
    told = dict(re.findall(r'^\| ([a-z0-9-]+) \| (.+) \|$', page, re.M))
    del told['package']
    installed = {plain(each) for name in required() for each in needed_by(name)}
    assert set(told) - ONLY_ELSEWHERE == installed - ONLY_ELSEWHERE
    for name, licence in told.items():
        assert licence in ' '.join(licences(name)), f'{name} states {licences(name)}'


def advisories() -> list[dict[str, str]]:
    """Known vulnerabilities of what the extension installs. Made by hand; `make audit` asks a database for all."""
    return json.loads((ROOT / 'tests' / 'advisories.json').read_text())['advisories']


def test_no_version_that_may_be_installed_has_a_vulnerability_that_we_know_of():
    asked = {plain(each.name): each.specifier for each in requirements()}
    for known in advisories():
        fixed = Version(known['fixed'])
        assert Version(version(known['package'])) >= fixed, known
        lowest = max((Version(each.version) for each in asked.get(known['package'], ())), default=fixed)
        assert lowest >= fixed, f'requirements.txt allows {known["package"]} {lowest}, which has {known["id"]}'


def test_advisories_are_of_what_is_installed():
    installed = {plain(each) for name in required() for each in needed_by(name)}
    assert {known['package'] for known in advisories()} <= installed


def licences(name: str) -> list[str]:
    """What a distribution states: an expression, classifiers, or a line of text."""
    stated = metadata(name)
    classifiers = [each for each in stated.get_all('Classifier') or () if each.startswith('License ::')]
    return [*(stated.get_all('License-Expression') or ()), *classifiers, *(stated.get_all('License') or ())]


def requirements() -> list[Requirement]:
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith('#')]


def required() -> set[str]:
    return {plain(each.name) for each in requirements()}


def needed_by(name: str) -> list[str]:
    """A distribution and all that it needs, however deep."""
    found, waiting = [], [name]
    while waiting:
        one = plain(waiting.pop())
        if one not in found:
            found.append(one)
            needs = map(Requirement, requires(one) or ())
            waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({'extra': ''})]
    return found


def imported() -> Iterator[str]:
    """The first name of each module that is neither ours nor Python's own."""
    for path in (ROOT / 'azext_acrprune').rglob('*.py'):
        for node in executed(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or '']
            else:
                continue
            for name in names:
                top = name.partition('.')[0]
                if top != 'azext_acrprune' and top not in sys.stdlib_module_names:
                    yield top


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that are only there for the type checker."""
    yield tree
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING'):
            yield from executed(node)


def plain(name: str) -> str:
    return re.sub(r'[-_.]+', '-', name).lower()
