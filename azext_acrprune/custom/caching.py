"""`az acr prune cache`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .._errors import file_error
from .command import Command

if TYPE_CHECKING:
    from ..inventory.cache_file import CacheFacts
    from ..model import Document


def show(cmd: Command, registry_name: str, suffix: str | None = None) -> Document:
    """What the cache holds for a registry; asks nobody."""
    from ..inventory.cache_file import describe

    host, path = _cache_of(cmd, registry_name, suffix)
    return _cache_document(host, describe(path))


def clear(cmd: Command, registry_name: str, suffix: str | None = None) -> Document:
    """Delete the cache of a registry, in whatever state it is, and say what it held."""
    from ..inventory.cache_file import describe, remove

    host, path = _cache_of(cmd, registry_name, suffix)
    held = describe(path)
    try:
        remove(path)
    except OSError as error:
        raise file_error(str(path), error) from error
    return _cache_document(host, held)


def login_server(cmd: Command, name: str, suffix: str | None) -> str:
    """The login server as az puts it together without asking."""
    from azure.cli.command_modules.acr._docker_utils import get_login_server_suffix

    label = f'-{suffix}' if suffix else ''
    return f'{name}{label}{get_login_server_suffix(cmd.cli_ctx) or ""}'.lower()


def _cache_of(cmd: Command, name: str, suffix: str | None) -> tuple[str, Path]:
    """The login server, and where its cache is."""
    from ..inventory.cache_file import cache_path

    host = login_server(cmd, name, suffix)
    return host, cache_path(cmd.cli_ctx.config.config_dir, host)


def _cache_document(host: str, facts: CacheFacts) -> Document:
    return {
        'registry': host,
        'path': facts.path,
        'manifests': facts.manifests,
        'bytes': facts.size,
        'readable': facts.readable,
        'schemaVersion': facts.schema_version,
    }
