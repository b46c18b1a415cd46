"""The state that a command uses: a folder or container that several machines share, or az's configuration folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from knack.log import get_logger

from ..prune_error import Kind, PruneError
from ..spelling import json_chunks
from .command import Command
from .options import StateOptions
from .user_files import read_text, write_json

if TYPE_CHECKING:
    from ..model import Document
    from ..state.registry_state import RegistryState
    from ..state.store import StateStore

logger = get_logger(__name__)

BLOB_STATE = 'azure-blob:'
PLAN_IN_STATE = 'state:'
_IN_USE = 'acrprune_state'
_NOT_KEPT = 'What this command found out is not all in the state, so the next one may be slower: %s %s'
_WAITING = 'Somebody is at work on this registry: %s. Waiting for it, up to %d seconds.'


def kept_folder(cmd: Command) -> str:
    """The folder with what earlier runs kept: the working copy of a state in use, or az's configuration folder."""
    state = state_in_use(cmd)
    return str(state.folder) if state else cmd.cli_ctx.config.config_dir


def state_in_use(cmd: Command) -> RegistryState | None:
    """The state of the registry that is worked on, if there is one."""
    return cmd.cli_ctx.data.get(_IN_USE)


def name_of_state(cmd: Command, options: StateOptions) -> str | None:
    """The state that an option, the policy or the plan names, or the setting `acrprune.state`. Raises PruneError."""
    if options.state:
        return options.state
    of_policy = state_of_policy(options.policy_file) if options.policy_file else None
    return of_policy or options.planned or cmd.cli_ctx.config.get('acrprune', 'state', fallback='') or None


def state_of_policy(policy_file: str) -> str | None:
    """The state that a policy file names, by a name that means the same from any folder. Raises PruneError."""
    from ..policy.named_state import state_named
    from ..policy.parsing import PolicyError

    try:
        named = state_named(read_text(policy_file))
    except PolicyError:
        return None  # whoever reads the policy says what is wrong with it
    if not named or named.startswith(BLOB_STATE):
        return named
    return os.path.abspath(os.path.join(os.path.dirname(policy_file), named))


def open_store(cmd: Command, name: str) -> StateStore:
    """The place that a name means. Raises StateError and PruneError."""
    if not name.startswith(BLOB_STATE):
        from ..state.folder_store import FolderStore

        return FolderStore(name)
    from ..state.blob_store import BlobStore
    from .azure import storage_container

    account, _, rest = name[len(BLOB_STATE) :].partition('/')
    container, _, folder = rest.partition('/')
    if not account or not container:
        raise PruneError(
            f"The state '{name}' is no container of a storage account.",
            'Give azure-blob:ACCOUNT/CONTAINER, with or without a /PREFIX.',
            Kind.INVALID,
        )
    client, _, calls = storage_container(cmd, account, container)
    return BlobStore(name, client, f'{folder.strip("/")}/' if folder else '', calls)


@contextmanager
def checked_out(
    cmd: Command, host: str, options: StateOptions, username: str | None = None, seconds_left: float = float('inf')
) -> Iterator[None]:
    """Within it what earlier runs kept on this registry is that of the state that the options name, if they name one.

    A command that changes something has the lock meanwhile. Raises StateError, and PruneError.
    """
    name = name_of_state(cmd, options)
    if not name:
        yield
        return
    from ..state.registry_state import RegistryState
    from ..state.working_copy import working_copy

    with _named_by_plan(options):
        store = open_store(cmd, name)
    with _folder_errors(cmd), working_copy(cmd.cli_ctx.config.config_dir, name, host) as folder:
        state = RegistryState(store, host, folder)
        try:
            if options.changes and not options.no_lock:
                state.lock(
                    _holder(cmd, username), min(options.lock_timeout, seconds_left), partial(_say_waiting, options)
                )
            state.check_out(with_cache=not options.no_cache)
            cmd.cli_ctx.data[_IN_USE] = state
            try:
                yield
            finally:
                del cmd.cli_ctx.data[_IN_USE]
                _check_in(state)
        finally:
            state.close()


def each_checked_out(cmd: Command, host: str | None, options: StateOptions) -> Iterator[None]:
    """Goes through the registries of the state, or one of them, each checked out in its turn.

    Without a state this is one turn, with what is on this machine.
    """
    from ..state.journals import hosts_in

    name = name_of_state(cmd, options)
    for each in [host or ''] if host or not name else hosts_in(open_store(cmd, name).entries('')):
        with checked_out(cmd, each, options):
            yield


def write_plan(cmd: Command, options: StateOptions, document: Document, path: str) -> None:
    """Write a plan to a file, or into the state for `state:NAME`. Raises StateError and PruneError."""
    if not path.startswith(PLAN_IN_STATE):
        write_json(document, path)
        return
    from ..state.store import WHATEVER

    store, name = _plan_in_state(cmd, options, str(document['registry']), path)
    store.put(name, ''.join((*json_chunks(document), '\n')).encode(), WHATEVER)


def read_plan_text(cmd: Command, options: StateOptions, host: str, path: str) -> str:
    """The text of a plan in a file, or in the state for `state:NAME`. Raises StateError and PruneError."""
    if not path.startswith(PLAN_IN_STATE):
        return read_text(path)
    store, name = _plan_in_state(cmd, options, host, path)
    found = store.read(name)
    if not found:
        raise PruneError(
            f"The state '{store.name}' has no plan '{path[len(PLAN_IN_STATE) :]}' of the registry '{host}'.",
            f"Write one with 'az acr prune plan -r {{target}} --state {quote(store.name)} --out {quote(path)}'.",
            Kind.NOT_FOUND,
        )
    return found[0].decode('utf-8', 'replace')


def refuse_unknown_state(cmd: Command, options: StateOptions, path: str) -> None:
    """Raise PruneError for a plan in a state where nothing says in which: before an hour of reading, not after it."""
    if path.startswith(PLAN_IN_STATE):
        _named(cmd, options, path)


def _named(cmd: Command, options: StateOptions, path: str) -> str:
    name = name_of_state(cmd, options)
    if not name:
        raise PruneError(
            f"'{path}' is a plan in a state, and nothing says which state.",
            "Name it with --state, or by 'az config set acrprune.state=...'.",
            Kind.INVALID,
        )
    return name


def _plan_in_state(cmd: Command, options: StateOptions, host: str, path: str) -> tuple[StateStore, str]:
    from ..state.registry_state import plan_in_state

    return open_store(cmd, _named(cmd, options, path)), plan_in_state(host, path[len(PLAN_IN_STATE) :])


def marks_keeper(cmd: Command) -> Callable[[Path], None]:
    """What has a file of marks in the state in use, if there is one, whenever it has changed."""
    state = state_in_use(cmd)
    return state.keep if state else _kept_here


def settled_keeper(cmd: Command) -> Callable[[str], None]:
    """What has it in the state in use, if there is one, that a run is over and owes nothing."""
    state = state_in_use(cmd)
    return state.settle if state else _kept_here


def _kept_here(_: Path | str) -> None:
    """What is on this machine only is kept as it is."""


def _check_in(state: RegistryState) -> None:
    """What has to last is in the state already; the rest makes later commands faster, or is found out again."""
    from ..state.store import StateError

    try:
        state.check_in()
    except StateError as error:
        logger.warning(_NOT_KEPT, error, error.advice)


def _say_waiting(options: StateOptions, who: str) -> None:
    logger.warning(_WAITING, who, options.lock_timeout)


def _holder(cmd: Command, username: str | None) -> dict[str, str]:
    """Who this is, for others that want the lock."""
    from .azure import who

    now = f'{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC'
    return {'command': f'az {cmd.name}', 'who': who(cmd, username), 'machine': platform.node(), 'since': now}


@contextmanager
def _named_by_plan(options: StateOptions) -> Iterator[None]:
    """Say of a state that cannot be opened where its name is from, if a plan has it."""
    try:
        yield
    except PruneError as error:
        if options.state or not options.planned:
            raise
        advice = f'{error.advice} The plan names this state, as its policy did. --state names another one.'
        raise PruneError(error.message, advice, error.kind) from error


@contextmanager
def _folder_errors(cmd: Command) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = cmd.cli_ctx.config.config_dir
        raise PruneError(
            f"No copy of the state can be made in '{folder}': {error.strerror}.", 'Make the folder usable.', Kind.FILE
        ) from error
