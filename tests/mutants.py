"""Mutants: small changes to the code, made by cosmic-ray's operators; a test must fail for each of them.

`python -m tests.mutants decide apply` tries one change of each kind at each place of these folders, by the tests that
run the changed line, and names the changes that no test noticed. docs/testing.md explains those.
"""

from __future__ import annotations

import argparse
import ast
import gc
import inspect
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from difflib import unified_diff
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from multiprocessing import get_context
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from coverage import CoverageData

from tests.mutations import ROOT

PACKAGE = 'azext_acrprune'
TESTS = (
    'tests/unit',
    'tests/test_bounds_properties.py',
    'tests/test_policy_properties.py',
    'tests/wire/test_attacks.py',
    'tests/wire/test_execute.py',
    'tests/wire/test_locks.py',
    'tests/wire/test_registry_state.py',
    'tests/wire/test_retire.py',
    'tests/wire/test_time_limit.py',
    'tests/wire/test_window.py',
)
"""What may notice a mutant: unit tests, random policies and bounds, and what deletes or locks on a local registry."""
SECONDS = 60
"""A mutant whose tests take so much longer than they may goes round in circles: it is noticed."""
FIRST_TESTS = 40
"""So many of the tests that run a changed line are run first: those that run least besides. Then others by chance."""

MOST_IMPORTED = 400
"""Of so many tests the files are imported, where all is imported anew for a mutant."""
IMPORTING_SECONDS = 15
"""How long that may take besides."""

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
        super().__init__(module_of(file), str(ROOT / file))
        self._code = code

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self.name else None
        if spec:
            spec.loader = self
        return spec

    def get_code(self, fullname: str) -> Any:
        return compile(self._code, self.path, 'exec')


def module_of(file: str) -> str:
    return file.removesuffix('.py').replace('/', '.').removesuffix('.__init__')


Functions = dict[tuple[str, int], CodeType]


def functions_in(code: CodeType) -> tuple[Functions, list]:
    """The functions of a module or class by name and line, and all else that its code is made of."""
    functions: Functions = {}
    rest: list = [code.co_code, code.co_names]
    for each in code.co_consts:
        if not isinstance(each, CodeType):
            rest.append(each)
        elif each.co_flags & inspect.CO_OPTIMIZED:
            key = each.co_qualname, each.co_firstlineno
            rest.append(key)
            functions[key] = each
        else:
            inner, more = functions_in(each)
            functions |= inner
            rest.append(more)
    return functions, rest


def change(file: str, code: str, functions: Sequence[FunctionType]) -> bool:
    """Give those functions that are of this file other code. False where more would have to change than functions."""
    (before, rest), (after, other) = (
        functions_in(compile(text, str(ROOT / file), 'exec'))
        for text in ((ROOT / file).read_text(encoding='utf-8'), code)
    )
    changed = {key for key in before if before[key] != after.get(key)}
    if rest != other or not changed or any(before[key].co_freevars != after[key].co_freevars for key in changed):
        return False
    name = module_of(file)
    found = [each for each in functions if each.__module__ == name and each.__code__ == before.get(_key(each))]
    for function in found:
        if _key(function) in changed:
            function.__code__ = after[_key(function)]
    return changed <= {_key(function) for function in found}


def _key(function: FunctionType) -> tuple[str, int]:
    return function.__code__.co_qualname, function.__code__.co_firstlineno


class Trials:
    """A plugin of pytest that tries each mutant on the tests that were collected, in a process of its own."""

    def __init__(self, choices: Sequence[list[Mutant]], coverage: Coverage, chosen: argparse.Namespace) -> None:
        self._choices = choices
        self._coverage = coverage
        self._seed = chosen.seed
        self._seconds = chosen.seconds
        self._functions: list[FunctionType] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._functions = [
            each
            for each in gc.get_objects()
            if isinstance(each, FunctionType) and (each.__module__ or '').startswith(PACKAGE)
        ]
        gc.collect()
        gc.freeze()  # what looks for garbage in a new process would copy all of it
        counts = Counter[bool]()
        for tried in self._results(session):
            for mutant, tests, noticed in tried:
                counts[noticed] += 1
                if not noticed:
                    print(f'NOT NOTICED by {tests} tests: {mutant.file}:{mutant.line}', difference(mutant), sep='\n')
            if not counts.total() % 100:
                print(f'{counts.total():,} tried', flush=True)
        print(f'{counts[True]:,} of {counts.total():,} mutants were noticed.')
        return True

    def _results(self, session: pytest.Session) -> Iterator[list[tuple[Mutant, int, bool]]]:
        """A mutant of each choice that has one, how many tests run its line, and whether one of these noticed it."""
        results, at_once = FORK.SimpleQueue(), (os.cpu_count() or 1) + 1
        for number in range(at_once):
            FORK.Process(target=self._try_some, args=(session, self._choices[number::at_once], results)).start()
        for _ in self._choices:
            yield results.get()

    def _try_some(self, session: pytest.Session, choices: Sequence[list[Mutant]], results: Any) -> None:
        for choice in choices:
            chance = random.Random(f'{self._seed} {choice[0]}')
            mutant = one_of(choice, chance)
            tests = self._coverage.tests_of(mutant) if mutant else []
            others = tests[FIRST_TESTS:]
            chance.shuffle(others)
            ordered = tests[:FIRST_TESTS] + others
            results.put([(mutant, len(tests), self._is_noticed(session, mutant, ordered))] if mutant else [])

    def _is_noticed(self, session: pytest.Session, mutant: Mutant, tests: Sequence[str]) -> bool:
        process = FORK.Process(target=self._run, args=(session, mutant, tests))
        process.start()
        process.join(self._seconds + SECONDS)
        if process.is_alive():
            with suppress(ProcessLookupError):
                os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()
        return process.exitcode != 0

    def _run(self, session: pytest.Session, mutant: Mutant, tests: Sequence[str]) -> None:
        """Exit with 1 where a test fails; after the time for it, with 0."""
        os.setsid()
        with open(os.devnull, 'w') as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        code = mutant.of((ROOT / mutant.file).read_text(encoding='utf-8'))
        if not change(mutant.file, code, self._functions):
            one = ('one', str(self._seconds), *map(str, mutant), *tests)
            os.execv(sys.executable, [sys.executable, '-m', 'tests.mutants', *one])
        began, by_name = time.monotonic(), {item.nodeid: item for item in session.items}
        items = [by_name[test] for test in tests if test in by_name]
        for item, following in zip(items, [*items[1:], None]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                os._exit(1)
            if time.monotonic() > began + self._seconds:
                break
        os._exit(0)


class Hurry:
    """A plugin of pytest that leaves out what would begin after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> bool | None:
        return True if time.monotonic() > self._end else None


def run_one(seconds: str, file: str, line: str, operator: str, occurrence: str, *tests: str) -> int:
    """Run tests on a mutant that changes more than functions, so that all is imported anew."""
    mutant = Mutant(file, int(line), operator, int(occurrence))
    sys.meta_path.insert(0, Changed(file, mutant.of((ROOT / file).read_text(encoding='utf-8'))))
    options = ('-x', '-q', '-p', 'no:cacheprovider')
    return pytest.main([*options, *tests[:MOST_IMPORTED]], plugins=[Hurry(IMPORTING_SECONDS + float(seconds))])


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
    if sys.argv[1:2] == ['one']:
        return run_one(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folders', nargs='+')
    parser.add_argument('--number', type=int, help='try so many places of each folder, drawn by chance, and not all')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--seconds', type=float, default=20, help='for how long tests are run on a mutant')
    parser.add_argument(
        '--learned', type=Path, help='a folder that keeps which test runs which line, for the next time'
    )
    chosen = parser.parse_args()
    choices = drawn(chosen.folders, chosen.number, chosen.seed)
    os.environ['ACRPRUNE_FEWER'] = '10'
    with tempfile.TemporaryDirectory() as folder:
        coverage = learn(chosen.folders, (chosen.learned or Path(folder)).resolve())
        options = ('-q', '-s', '-p', 'no:cacheprovider', '-p', 'no:xdist')
        return pytest.main([*options, *TESTS], plugins=[Trials(choices, coverage, chosen)])


if __name__ == '__main__':
    sys.exit(main())
