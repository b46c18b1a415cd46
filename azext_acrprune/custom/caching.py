"""`az acr prune cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._errors import file_error, typed_errors
from .command import Command
from .options import StateOptions
from .states import checked_out, kept_folder, state_in_use

if TYPE_CHECKING:
    from ..inventory.cache_file import CacheFacts
    from ..model import Document


def show(cmd: Command, registry_name: str, suffix: str | None = None, state: str | None = None) -> Document:
    """What the cache holds for a registry; asks nobody but a state."""
    from ..inventory.cache_file import cache_path, describe

    host = login_server(cmd, registry_name, suffix)
    with typed_errors(), checked_out(cmd, host, StateOptions(state)):
        return _cache_document(host, describe(cache_path(kept_folder(cmd), host)))


def clear(cmd: Command, registry_name: str, suffix: str | None = None, state: str | None = None) -> Document:
    """Delete the cache of a registry, however it is, and say what it held."""
    from ..inventory.cache_file import cache_path, describe, remove

    host = login_server(cmd, registry_name, suffix)
    with typed_errors(), checked_out(cmd, host, StateOptions(state)):
        path = cache_path(kept_folder(cmd), host)
        held = describe(path)
        try:
            remove(path)
        except OSError as error:
            raise file_error(str(path), error) from error
        in_use = state_in_use(cmd)
        if in_use:
            in_use.remove_cache()
        return _cache_document(host, held)


def login_server(cmd: Command, name: str, suffix: str | None) -> str:
    """The login server as az puts it together without asking."""
    from azure.cli.command_modules.acr._docker_utils import get_login_server_suffix

    label = f'-{suffix}' if suffix else ''
    return f'{name}{label}{get_login_server_suffix(cmd.cli_ctx) or ""}'.lower()


def _cache_document(host: str, facts: CacheFacts) -> Document:
    return {
        'registry': host,
        'file': facts.path,
        'manifests': facts.manifests,
        'fileBytes': facts.size,
        'readable': facts.readable,
        'fileVersion': facts.schema_version,
    }
