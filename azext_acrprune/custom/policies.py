"""`az acr prune policy`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .._errors import typed_errors
from ..model import TICKS_PER_SECOND
from ..prune_error import Kind, PruneError
from .command import Command
from .deciding import with_memory
from .failures import exit_by
from .options import RegistryOptions
from .regions import settling_of
from .scanning import scan
from .selecting import read_policy
from .session import open_session
from .user_files import read_text, write_text

if TYPE_CHECKING:
    from ..documents.inventory_file import Snapshot
    from ..model import Document, Inventory
    from ..policy.cases import Cases
    from ..policy.rules import Policy


def validate(policy_file: str) -> Document:
    """Check a policy file."""
    policy = read_policy(policy_file, ())
    return {'valid': True, 'rules': [rule.name for rule in policy.rules]}


def explain(policy_file: str) -> Document:
    """Say in sentences what a policy does."""
    from ..policy.words import sentences

    policy = read_policy(policy_file)
    said = sentences(policy)
    for name in policy.registries:
        other = [each for each in sentences(read_policy(policy_file, (), name)) if each not in said]
        which = 'registries' if {*name} & {*'*?'} else 'the registry'
        said = [*said, *(f"In {which} '{name}': {each}" for each in other)]
    return {'sentences': said}


def test(cmd: Command, tests_file: str, policy_file: str | None = None) -> Document:
    """Try a policy on images that a file describes; nothing is asked of any registry."""
    from ..documents.policy_tests import tests_document

    cases = _read_cases(tests_file)
    document = tests_document(_policy_of(cases, tests_file, policy_file), cases.tests)
    exit_by(cmd, document['exitReason'], 'Not all tests passed: the answer says which, and why.')
    return document


def diff(
    cmd: Command,
    old_policy: str,
    new_policy: str,
    inventory_file: str | None = None,
    markdown: str | None = None,
    fail_on: str | None = None,
    **kwargs: object,
) -> Document:
    """What a new policy takes and leaves otherwise than an old one. Deletes nothing."""
    from ..decide.decision import decide
    from ..documents.policy_diff import diff_document
    from ..exit_reasons import DONE, TAKES_MORE
    from ..model import registry_name
    from ..show.policy_tables import diff_markdown

    read = _from_file(inventory_file) if inventory_file else None
    registry = registry_name(read.inventory.registry) if read else RegistryOptions.of(kwargs).sign_in.registry_name
    then = read.at / TICKS_PER_SECOND if read else None
    policies = [read_policy(path, (), registry, then) for path in (old_policy, new_policy)]
    if read:
        with typed_errors(registry):
            read.refuse_what_it_lacks(policies)
        inventory, now = read.inventory, read.at
    else:
        policies, inventory, now = _read(cmd, policies, RegistryOptions.of(kwargs))
    names = [repository.name for repository in inventory.repositories]
    old, new = (
        decide(replace(inventory, selected=frozenset(policy.selection.select(names))), policy, now)
        for policy in policies
    )
    document = diff_document(old, new, _weaker(*policies))
    takes_more = fail_on == 'more' and any(document[key] for key in ('goes', 'retires', 'weaker'))
    document['exitReason'] = TAKES_MORE if takes_more else DONE
    if markdown:
        write_text(diff_markdown(document), markdown)
    exit_by(cmd, document['exitReason'], 'The new policy takes more than the old one, or guards less.')
    return document


def _weaker(old: Policy, new: Policy) -> list[str]:
    """The guards that are weaker in the new policy. Files of pins are told apart as each policy names them."""
    from ..policy.overrides import weaker_guards

    def as_named(policy: Policy) -> Policy:
        paths = tuple(policy.given['file'].get('pins', {}).get('paths', ()))
        return replace(policy, sources=replace(policy.sources, paths=paths))

    return list(weaker_guards(as_named(old), as_named(new)))


def _from_file(inventory_file: str) -> Snapshot:
    """A registry as `az acr prune plan --inventory-out` wrote it."""
    from ..documents.inventory_file import read_inventory

    with typed_errors():
        return read_inventory(read_text(inventory_file))


def _read(cmd: Command, policies: Sequence[Policy], options: RegistryOptions) -> tuple[list[Policy], Inventory, int]:
    """(the policies with what this machine remembers, the registry, read as far as either asks, when that began)."""
    from ..policy.rules import Selection

    labels = any(policy.asks_for_labels for policy in policies)
    with open_session(cmd, options) as session:
        inventory, found, settling = scan(session, Selection(), tags=True, labels=labels), [], settling_of(session)
        for policy in policies:
            policy, inventory = with_memory(session, policy, inventory)
            found.append(replace(policy, settling=settling))
        return found, inventory, session.now


def show_schema() -> Document:
    from ..policy.file import schema

    return schema()


def show_example(name: str, out: str | None = None) -> Document:
    """An example as a document; or, with `out`, a copy of it in a file, with its comments."""
    from ..policy.file import example, example_text

    if not out:
        return example(name)
    if os.path.exists(out):
        with typed_errors():
            raise PruneError(
                f"The file '{out}' is there already, and an example would take its place.",
                'Give another name, or remove the file first.',
                Kind.FILE,
            )
    write_text(example_text(name), out)
    return {'name': name, 'file': out}


def _read_cases(path: str) -> Cases:
    from ..policy.cases import parse_cases
    from ..policy.parsing import PolicyError

    with typed_errors():
        try:
            return parse_cases(read_text(path))
        except PolicyError as error:
            raise PruneError(
                f"The tests '{path}' are not valid: {error}.",
                'docs/policies.md says how a test is written.',
                error.kind,
            ) from error


def _policy_of(cases: Cases, tests_file: str, policy_file: str | None) -> Policy:
    """The policy that is tested: the one of the option, or the one that the tests name."""
    from ..documents.policy_tests import NOW
    from ..policy.file import example_text, parse_policy

    now = NOW / TICKS_PER_SECOND
    if policy_file:
        return read_policy(policy_file, (), cases.registry, now)
    if cases.example:
        return parse_policy(example_text(cases.example))
    if cases.policy:
        return read_policy(os.path.join(os.path.dirname(tests_file), cases.policy), (), cases.registry, now)
    with typed_errors():
        raise PruneError(
            f"Nothing says which policy the tests '{tests_file}' are about.",
            "Give it with --policy, or write 'policy: FILE' into the tests.",
            Kind.INVALID,
        )
