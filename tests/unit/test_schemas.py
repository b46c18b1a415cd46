"""The schemas of the documents: they are valid, strict, and each word means one thing in all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from azext_acrprune.commands import load_command_table
from azext_acrprune.documents.schemas import OF_COMMAND, names, schema
from azext_acrprune.exit_reasons import CODES, code_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'azext_acrprune' / 'documents' / 'schema'
WORDS = json.loads((FOLDER / 'words.json').read_text())['$defs']
NUMBERS = (ROOT / 'docs' / 'numbers.md').read_text()


def objects(part) -> Iterator[dict]:
    """Each part of a schema that describes an object."""
    if isinstance(part, dict):
        if 'properties' in part:
            yield part
        for value in part.values():
            yield from objects(value)
    elif isinstance(part, list):
        for value in part:
            yield from objects(value)


def meaning(found) -> str | None:
    """What a key is said to mean; None for the number of what a list of that name has."""
    if 'description' in found:
        return found['description']
    word = found.get('anyOf', [found])[0]['$ref'].rpartition('/')[2]
    return None if word == 'number' else WORDS[word]['description']


@pytest.mark.parametrize('name', names())
def test_a_schema_is_one_by_the_draft_and_strict(name):
    whole = schema(name)
    assert whole['$schema'] == 'https://json-schema.org/draft/2020-12/schema'
    Draft202012Validator.check_schema(whole)
    for part in objects(whole):
        assert part['additionalProperties'] is False
        assert set(part['required']) <= set(part['properties'])


def test_each_file_is_the_schema_of_some_command():
    assert {path.stem for path in FOLDER.glob('*.json')} == {*names(), 'words'}
    assert set(CODES) == set(WORDS['exitReason']['enum'])


def test_each_word_means_one_thing_in_all_documents():
    meanings: dict[str, set[str]] = {}
    for path in FOLDER.glob('*.json'):
        for part in objects(json.loads(path.read_text())):
            for key, found in part['properties'].items():
                said = meaning(found)
                if said:
                    meanings.setdefault(key, set()).add(said)
    assert {key: said for key, said in meanings.items() if len(said) > 1} == {}


def test_the_numbers_of_the_documents_are_told_and_no_others():
    """`docs/numbers.md` has each number of bytes and each bound that a schema has."""
    told = set(re.findall(r'`(\w+)`', NUMBERS))
    known = {
        key
        for path in FOLDER.glob('*.json')
        for part in objects(json.loads(path.read_text()))
        for key in part['properties']
    }
    numbers = {key for key in known if re.search(r'(Bytes|Impact)$', key)} | {'impact', 'size', 'imageSize'}
    assert numbers - told == set()
    assert {word for word in told if re.search(r'(Bytes|Impact)$', word)} - known == set()


def test_every_exit_reason_and_its_code_are_told():
    pipelines = (ROOT / 'docs' / 'pipelines.md').read_text()
    rows = dict(re.findall(r'^\| `(\w+)` \| (.+?) \|', pipelines, re.MULTILINE))
    assert {reason: rows[reason] for reason in CODES} == {
        reason: '0, or 2' if code_of(reason, True) == 2 else str(code) for reason, code in CODES.items()
    }


def test_commands_with_a_schema_are_commands():
    class Group:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def command(self, name, *_, **__):
            found.append(f'{self.name} {name}')

        show_command = command

    class Loader:
        def command_group(self, name, *_, **__):
            return Group(name)

    found: list[str] = []
    load_command_table(Loader(), [])
    assert {f'acr prune {command}' for command in OF_COMMAND} <= set(found)
    assert not any(name.endswith('plan show-schema') for name in found)
    without = set(found) - {f'acr prune {command}' for command in OF_COMMAND}
    assert without == {f'acr prune {name}' for name in ('policy show-schema', 'schema list', 'schema show')}
    load_command_table(Loader(), ['acr', 'prune', 'plan', 'show-schema'])
    assert 'acr prune plan show-schema' in found
