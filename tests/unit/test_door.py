"""The door to a registry: every verb that changes one is known to all who stand in it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from azure.containerregistry.aio import ContainerRegistryClient

from azext_acrprune import custom
from azext_acrprune.apply.journal import JournaledRegistry
from azext_acrprune.archive.precondition import ArchivedRegistry
from azext_acrprune.registry import client, reads
from azext_acrprune.registry.changes import Changes
from azext_acrprune.registry.client import Registry
from azext_acrprune.registry.reads import Reads

CHANGING_METHODS = {'DELETE', 'PATCH', 'POST', 'PUT'}
CHANGING_VERBS = {
    name for name in dir(ContainerRegistryClient) if name.startswith(('delete', 'set', 'update', 'upload'))
}
"""Those of the SDK."""


def public(kind: Any) -> dict[str, list[str]]:
    """The verbs that a class itself has: their parameters, in order."""
    return {
        name: list(inspect.signature(verb).parameters)
        for name, verb in vars(kind).items()
        if inspect.isfunction(verb) and not name.startswith('_')
    }


@pytest.mark.parametrize('kind', [Registry, JournaledRegistry, ArchivedRegistry])
def test_the_door_is_the_same_for_all_who_stand_in_it(kind):
    assert public(kind) == public(Changes)


@pytest.mark.parametrize('kind', [JournaledRegistry, ArchivedRegistry])
def test_nobody_lets_through_what_it_does_not_know(kind):
    assert '__getattr__' not in vars(kind) and kind.__getattribute__ is object.__getattribute__


@pytest.mark.parametrize('module', [reads, client])
def test_what_sends_anything_but_a_read_is_a_verb_of_the_door(module):
    kind = Reads if module is reads else Registry
    sent = changing_functions(module)
    assert {name for name in public(kind) if name in sent} <= set(public(Changes))
    assert module is not reads or not sent


def changing_functions(module: Any) -> set[str]:
    """The functions of a module that name a method or a verb of the SDK which changes something, and their callers."""
    tree = ast.parse(Path(module.__file__).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    words = {function.name: _words(function) for function in functions}
    found = {name for name, used in words.items() if used & (CHANGING_METHODS | CHANGING_VERBS)}
    while more := {name for name, used in words.items() if used & found} - found:
        found |= more
    return found


def _words(function: ast.AST) -> set[str]:
    """The strings and the attributes in a function."""
    nodes = list(ast.walk(function))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return texts | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def test_all_verbs_of_the_door_are_found_that_way():
    assert changing_functions(client) >= set(public(Changes))


def test_what_a_command_changes_goes_through_the_door_of_its_session():
    sources = Path(custom.__file__).parent.glob('*.py')
    calls = [node for each in sources for node in ast.walk(ast.parse(each.read_text())) if isinstance(node, ast.Call)]
    doors = [ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) == JournaledRegistry.__name__]
    assert doors and set(doors) == {'session.door'}
