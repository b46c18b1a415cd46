"""Mutants: small changes to the code, made by cosmic-ray's operators; a test must fail for each of a sample of them.

`python -m tests.mutants decide apply --number 60 --seed 1` draws so many mutants of each of these folders, runs the
tests that run the changed line, and names the mutants that no test noticed. docs/testing.md explains those.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from coverage import CoverageData

from tests.mutations import ROOT

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
SECONDS = 300
"""A mutant whose tests take longer goes round in circles: it is noticed."""
MOST_TESTS = 300
"""Of the tests that run a changed line so many are run, drawn by chance."""


class Mutant(NamedTuple):
    """The change that an operator makes at one of its places in a file, which is a path below the project."""

    file: str
    line: int
    operator: str
    occurrence: int

    def of(self, code: str) -> str:
        return mutate_code(code.encode(), get_operator(self.operator)(), self.occurrence) or code


def mutants_in(code: str, file: str) -> Iterator[Mutant]:
    """Every change that any operator can make to a file."""
    nodes = list(ast_nodes(get_ast(code)))
    for name in operator_names():
        operator = get_operator(name)
        if not operator.arguments():
            places = (place for node in nodes for place in operator().mutation_positions(node))
            yield from (Mutant(file, place[0][0], name, number) for number, place in enumerate(places))


def sample(folder: str, number: int, seed: int) -> list[Mutant]:
    """So many mutants of a folder, the same ones for the same code and seed. None differs in annotations alone."""
    codes = {
        str(path.relative_to(ROOT)): path.read_text(encoding='utf-8')
        for path in sorted((ROOT / PACKAGE / folder).glob('*.py'))
    }
    every = [each for file, code in codes.items() for each in mutants_in(code, file)]
    random.Random(seed).shuffle(every)
    print(f'{folder}: {len(every):,} mutants, of which {number} are drawn')
    real = (each for each in every if meaning(each.of(codes[each.file])) not in (None, meaning(codes[each.file])))
    return list(islice(real, number))


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


class Trial:
    """A copy of the project in which the tests run; it knows which of them run which line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        listed = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, check=True, text=True).stdout
        for name in listed.split('\0')[:-1]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)

    def learn(self, folders: list[str], learned: Path) -> list[str]:
        """Run all tests once, and note what they run; gives those that fail, which tell nothing of a mutant.

        What the folder `learned` knows is not learned again, and it is kept there.
        """
        lines, failing = learned / 'lines', learned / 'failing'
        if not failing.exists():
            learned.mkdir(parents=True, exist_ok=True)
            covered = [f'--cov={PACKAGE}/{folder}' for folder in folders]
            settings = self._folder / 'contexts.ini'
            settings.write_text(f'[run]\nrelative_files = true\ndata_file = {lines}\n')
            options = ['--cov-context=test', f'--cov-config={settings}', '--cov-report=', '-n', 'auto']
            said = self._run([*TESTS, *covered, *options, '-rf'], None).stdout
            failing.write_text('\n'.join(re.findall(r'^FAILED (.+?)(?: - |$)', said, re.MULTILINE)))
        self._data = CoverageData(str(lines))
        self._data.read()
        self._failing = failing.read_text().splitlines()
        return self._failing

    def tests_of(self, mutant: Mutant, chance: random.Random) -> list[str]:
        """The tests that run the line of a mutant; all that run anything of the file where no test alone does."""
        by_line = self._data.contexts_by_lineno(mutant.file)
        above = (by_line[line] for line in range(mutant.line, mutant.line - 12, -1) if line in by_line)
        found = {each for each in next(above, ()) if each} or {
            each for some in by_line.values() for each in some if each
        }
        tests = sorted({each.rpartition('|')[0] for each in found}.difference(self._failing))
        return sorted(chance.sample(tests, min(len(tests), MOST_TESTS)))

    def is_noticed(self, mutant: Mutant, tests: list[str]) -> bool:
        path = self._folder / mutant.file
        code = path.read_text(encoding='utf-8')
        path.write_text(mutant.of(code), encoding='utf-8')
        try:
            return self._run(['-x', *tests], SECONDS).returncode != 0
        except subprocess.TimeoutExpired:
            return True
        finally:
            path.write_text(code, encoding='utf-8')

    def _run(self, arguments: list[str], seconds: int | None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *arguments]
        environment = {**os.environ, 'PYTHONDONTWRITEBYTECODE': '1', 'ACRPRUNE_FEWER': '10'}
        return subprocess.run(
            command, cwd=self._folder, env=environment, timeout=seconds, capture_output=True, text=True, check=False
        )


def difference(mutant: Mutant) -> str:
    """The lines that a mutant changes, before and after."""
    code = (ROOT / mutant.file).read_text(encoding='utf-8')
    lines = unified_diff(code.splitlines(), mutant.of(code).splitlines(), n=0, lineterm='')
    return '\n'.join(f'    {line}' for line in list(lines)[3:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folders', nargs='+')
    parser.add_argument('--number', type=int, default=60)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument(
        '--learned', type=Path, help='a folder that keeps which test runs which line, for the next time'
    )
    chosen = parser.parse_args()
    drawn = [each for folder in chosen.folders for each in sample(folder, chosen.number, chosen.seed)]
    with tempfile.TemporaryDirectory() as folder:
        trial, chance = Trial(Path(folder)), random.Random(chosen.seed)
        for test in trial.learn(chosen.folders, (chosen.learned or Path(folder)).resolve()):
            print(f'fails without any mutant, and is left out: {test}', flush=True)
        left = []
        for mutant in drawn:
            tests = trial.tests_of(mutant, chance)
            if not tests or not trial.is_noticed(mutant, tests):
                left.append(mutant)
                print(
                    f'NOT NOTICED by {len(tests)} tests: {mutant.file}:{mutant.line}',
                    difference(mutant),
                    sep='\n',
                    flush=True,
                )
    print(f'{len(drawn) - len(left)} of {len(drawn)} mutants were noticed.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
