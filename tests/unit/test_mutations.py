"""The mutations fit the code, and docs/testing.md lists them. `python -m tests.mutations` runs them."""

import ast

import pytest

from tests.mutations import MUTATIONS, ROOT, mutated


@pytest.mark.parametrize('mutation', MUTATIONS, ids=lambda mutation: mutation.fault)
def test_a_mutation_changes_the_code_and_leaves_it_code(mutation):
    code = (ROOT / 'azext_acrprune' / mutation.file).read_text()
    changed = mutated(code, mutation)
    ast.parse(changed)
    assert changed != code


@pytest.mark.parametrize('mutation', MUTATIONS, ids=lambda mutation: mutation.fault)
def test_the_test_that_notices_a_mutation_exists(mutation):
    file, _, name = mutation.test.partition('::')
    assert f'def {name}(' in (ROOT / 'tests' / file).read_text()


def test_the_document_lists_each_mutation_with_its_test():
    document = (ROOT / 'docs' / 'testing.md').read_text()
    rows = [
        line
        for line in document.splitlines()
        if line.startswith(('| `decide/', '| `apply/', '| `inventory/', '| `registry/'))
    ]
    assert rows == [f'| `{each.file}` | {each.fault} | `{each.test}` |' for each in MUTATIONS]
