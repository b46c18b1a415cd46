"""Mutants: small changes to the code, made by cosmic-ray's operators; a test must fail for each of them.

`python -m tests.mutants decide apply` tries one change of each kind at each place of these folders, by the tests that
run the changed line, and names the changes that no test noticed. docs/testing.md explains those.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from difflib import unified_diff
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from coverage import CoverageData

from tests.mutations import ROOT
from tests.registry.az_forks import LIBRARIES

PACKAGE = 'azext_acrprune'
TESTS = (
    'tests/unit',
    'tests/wire/test_attacks.py',
    'tests/wire/test_execute.py',
    'tests/wire/test_locks.py',
    'tests/wire/test_registry_state.py',
    'tests/wire/test_retire.py',
    'tests/wire/test_time_limit.py',
    'tests/wire/test_window.py',
)
"""What may notice a mutant: the unit tests, and those that delete or lock on a local registry in the same process."""
SECONDS = 120
"""A mutant whose tests take longer goes round in circles: it is noticed."""
FIRST_TESTS = 25
"""So many of the tests that run a changed line are run first: those that run least besides."""
MOST_TESTS = 300
"""Of the others so many are run, drawn by chance."""

FORK = get_context('fork')


class Mutant(NamedTuple):
    """The change that an operator makes at one of its places in a file, which is a path below the project."""

    file: str
    line: int
    operator: str
    occurrence: int

    def of(self, code: str) -> str:
        """The changed code; the same where the operator fails, as that of exceptions does with a name in a module."""
        try:
            return mutate_code(code.encode(), get_operator(self.operator)(), self.occurrence) or code
        except AttributeError:
            return code


def choices_in(code: str, file: str) -> Iterable[list[Mutant]]:
    """For each place and kind of operator, all changes that it can make there.

    A comparison, say, can become any of the others.
    """
    choices: dict[tuple, list[Mutant]] = {}
    nodes = list(ast_nodes(get_ast(code)))
    for name in operator_names():
        operator = get_operator(name)
        if not operator.arguments():
            places = (place for node in nodes for place in operator().mutation_positions(node))
            for number, place in enumerate(places):
                mutant = Mutant(file, place[0][0], name, number)
                choices.setdefault((name.partition('_')[0], place), []).append(mutant)
    return choices.values()


def one_of(choice: list[Mutant], chance: random.Random) -> Mutant | None:
    """One that is a program and differs in more than annotations, drawn by chance."""
    code = (ROOT / choice[0].file).read_text(encoding='utf-8')
    before = meaning(code)
    shuffled = chance.sample(choice, len(choice))
    return next((each for each in shuffled if meaning(each.of(code)) not in (None, before)), None)


def meaning(code: str) -> str | None:
    """The program without its annotations; None for what is no program."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.unparse(tree)


class Coverage:
    """Which test runs which line."""

    def __init__(self, lines: Path, failing: set[str]) -> None:
        """`lines` is written by coverage; what fails without a mutant tells nothing of one."""
        data = CoverageData(str(lines))
        data.read()
        self._failing = failing
        self._by_file = {Path(file): data.contexts_by_lineno(file) for file in data.measured_files()}
        self._size = Counter(each for by_line in self._by_file.values() for some in by_line.values() for each in some)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that run the line of a mutant; all that run anything of the file where no test alone does.

        Those that run least besides are first.
        """
        by_line = self._by_file.get(Path(mutant.file), {})
        above = (by_line[line] for line in range(mutant.line, mutant.line - 12, -1) if line in by_line)
        found = {each for each in next(above, ()) if each} or {
            each for some in by_line.values() for each in some if each
        }
        ordered = sorted(found, key=lambda each: (self._size[each], each))
        return [each for each in dict.fromkeys(map(_test, ordered)) if each not in self._failing]


def _test(context: str) -> str:
    return context.rpartition('|')[0]


def learn(folders: Sequence[str], learned: Path) -> Coverage:
    """Run all tests once without a mutant, and note what they run, unless the folder `learned` has that already."""
    lines, failing = learned / 'lines', learned / 'failing'
    if not failing.exists():
        learned.mkdir(parents=True, exist_ok=True)
        settings = learned / 'contexts.ini'
        settings.write_text(f'[run]\nrelative_files = true\ndata_file = {lines}\n')
        said = subprocess.run(
            [
                *(sys.executable, '-m', 'pytest', '-q', '-rf', '-n', 'auto', *TESTS),
                *(f'--cov={PACKAGE}/{folder}' for folder in folders),
                *('--cov-context=test', f'--cov-config={settings}', '--cov-report='),
            ],
            cwd=ROOT,
            env={**os.environ, 'ACRPRUNE_FEWER': '10'},
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        failing.write_text('\n'.join(re.findall(r'^FAILED (.+?)(?: - |$)', said, re.MULTILINE)))
    for test in failing.read_text().splitlines():
        print(f'fails without any mutant, and is left out: {test}', flush=True)
    return Coverage(lines, set(failing.read_text().splitlines()))


class Changed(MetaPathFinder, SourceFileLoader):
    """Imports one file of the package with other code in it."""

    def __init__(self, file: str, code: str) -> None:
        module = file.removesuffix('.py').replace('/', '.').removesuffix('.__init__')
        super().__init__(module, str(ROOT / file))
        self._code = code

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self.name else None
        if spec:
            spec.loader = self
        return spec

    def get_code(self, fullname: str) -> Any:
        return compile(self._code, self.path, 'exec')


def passes(file: str, code: str, tests: Sequence[str]) -> bool:
    """Whether the tests pass with this code in the file, in a process of their own."""
    process = FORK.Process(target=_run, args=(file, code, tests))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        with suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
    return process.exitcode == 0


def _run(file: str, code: str, tests: Sequence[str]) -> None:
    os.setsid()
    with open(os.devnull, 'w') as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    os.environ['ACRPRUNE_FEWER'] = '10'
    sys.meta_path.insert(0, Changed(file, code))
    sys.exit(pytest.main(['-x', '-q', '-p', 'no:cacheprovider', *tests]))


def is_noticed(mutant: Mutant, tests: Sequence[str], chance: random.Random) -> bool:
    code = mutant.of((ROOT / mutant.file).read_text(encoding='utf-8'))
    first, others = tests[:FIRST_TESTS], tests[FIRST_TESTS:]
    drawn = chance.sample(others, min(len(others), MOST_TESTS))
    return any(some and not passes(mutant.file, code, some) for some in (first, sorted(drawn)))


Result = tuple[Mutant, int, bool]
"""A mutant, how many tests run its line, and whether one of these noticed it."""


def try_all(choices: Sequence[list[Mutant]], coverage: Coverage, seed: int) -> Iterator[Result]:
    """One mutant of each choice that has one; as many at once as there are processors."""
    results, at_once = FORK.SimpleQueue(), os.cpu_count() or 1
    for number in range(at_once):
        FORK.Process(target=_try_some, args=(choices[number::at_once], coverage, seed, results)).start()
    for _ in choices:
        yield from results.get()


def _try_some(choices: Sequence[list[Mutant]], coverage: Coverage, seed: int, results: Any) -> None:
    for choice in choices:
        chance = random.Random(f'{seed} {choice[0]}')
        mutant = one_of(choice, chance)
        tests = coverage.tests_of(mutant) if mutant else []
        results.put([(mutant, len(tests), is_noticed(mutant, tests, chance))] if mutant else [])


def difference(mutant: Mutant) -> str:
    """The lines that a mutant changes, before and after."""
    code = (ROOT / mutant.file).read_text(encoding='utf-8')
    lines = unified_diff(code.splitlines(), mutant.of(code).splitlines(), n=0, lineterm='')
    return '\n'.join(f'    {line}' for line in list(lines)[3:])


def drawn(folders: Sequence[str], number: int | None, seed: int) -> list[list[Mutant]]:
    """All choices in these folders, or so many of each, drawn by chance."""
    chosen, chance = [], random.Random(seed)
    for folder in folders:
        every = [
            choice
            for path in sorted((ROOT / PACKAGE / folder).glob('*.py'))
            for choice in choices_in(path.read_text(encoding='utf-8'), str(path.relative_to(ROOT)))
        ]
        chance.shuffle(every)
        print(f'{folder}: {len(every[:number]):,} of {len(every):,} places', flush=True)
        chosen += every[:number]
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folders', nargs='+')
    parser.add_argument('--number', type=int, help='try so many places of each folder, drawn by chance, and not all')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument(
        '--learned', type=Path, help='a folder that keeps which test runs which line, for the next time'
    )
    chosen = parser.parse_args()
    choices = drawn(chosen.folders, chosen.number, chosen.seed)
    for name in ('hypothesis', *LIBRARIES):  # once, and not again for each mutant
        with suppress(ImportError):
            importlib.import_module(name)
    counts = Counter[bool]()
    with tempfile.TemporaryDirectory() as folder:
        coverage = learn(chosen.folders, (chosen.learned or Path(folder)).resolve())
        for mutant, tests, noticed in try_all(choices, coverage, chosen.seed):
            counts[noticed] += 1
            if not noticed:
                print(f'NOT NOTICED by {tests} tests: {mutant.file}:{mutant.line}', difference(mutant), sep='\n')
                sys.stdout.flush()
    print(f'{counts[True]:,} of {counts.total():,} mutants were noticed.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
