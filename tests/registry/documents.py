"""Every JSON document that a test gets from az is held to the schema of the command that answered with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import fastjsonschema

from azext_acrprune.documents.schemas import OF_COMMAND, schema
from azext_acrprune.exit_reasons import code_of

_SAYS_OTHERWISE = ('--query', '--help', '-h', 'show-schema')


def hold_to_schema(arguments: Sequence[str], out: str) -> None:
    """Raise AssertionError where az answered with a document that is not as its schema says."""
    name = _command(arguments)
    if name is None or any(word in arguments for word in _SAYS_OTHERWISE) or not _is_json(arguments, out):
        return
    document = json.loads(out)
    try:
        validator(_schema_of(name, document))(document)
    except fastjsonschema.JsonSchemaValueException as error:
        shown = json.dumps(error.value)[:500]
        raise AssertionError(f'az {" ".join(arguments)}: {error.message[:500]}: {shown}') from error


def hold_to_exit_code(arguments: Sequence[str], code: int, out: str, err: str) -> None:
    """Raise AssertionError where one of our commands fails without an error, or where its answer has another reason.

    2 is where az does not know an option, or with --detailed-exit-code that something would change.
    """
    if tuple(arguments[:2]) != ('acr', 'prune') or code < 0 or '-h' in arguments:
        return
    shown = f'az {" ".join(arguments)} answered {code}: {err[-500:]}'
    in_detail = '--detailed-exit-code' in arguments
    assert code in (0, 2) or err.count('ERROR: ') or '--debug' in arguments, shown
    if _command(arguments) and '--query' not in arguments and _is_json(arguments, out):
        reason = json.loads(out).get('exitReason') if out.lstrip().startswith('{') else None
        assert reason is None or code_of(reason, in_detail) == code, f'{reason}: {shown}'


@cache
def validator(name: str) -> Callable[[Any], Any]:
    """Raises JsonSchemaValueException. It knows an older draft, of which these schemas use only what is the same."""
    return fastjsonschema.compile({**schema(name), '$schema': 'http://json-schema.org/draft-07/schema#'})


def _command(arguments: Sequence[str]) -> str | None:
    if tuple(arguments[:2]) != ('acr', 'prune'):
        return None
    words = list(arguments[2:4])
    return next((name for name in (' '.join(words), words[0] if words else '') if name in OF_COMMAND), None)


def _is_json(arguments: Sequence[str], out: str) -> bool:
    forms = [arguments[place + 1] for place, each in enumerate(arguments[:-1]) if each in ('-o', '--output')]
    return all(form == 'json' for form in forms) and out.lstrip()[:1] in ('{', '[')


def _schema_of(command: str, document: Any) -> str:
    """Which of the documents of a command this one is."""
    own, *others = OF_COMMAND[command]
    marks = {'plan': 'checksum', 'archive-image': 'digest', 'several': 'registries'}
    if 'history-requests' in others:
        return 'history-requests' if document.keys() == {'run', 'requests'} else own
    return next((name for name in others if marks[name] in document), own)
