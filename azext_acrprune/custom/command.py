"""What this extension uses of the command object that azure-cli passes to every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Config(Protocol):
    """The configuration of az. `config_dir` is its folder."""

    config_dir: str

    def getboolean(self, section: str, option: str, fallback: bool) -> bool: ...

    def get(self, section: str, option: str, fallback: str) -> str: ...

    def getfloat(self, section: str, option: str, fallback: float) -> float: ...


class Context(Protocol):
    """The az that is running. `cloud` has the endpoints and suffixes of the cloud in use; azure-cli has no types.

    `data` is what parts of a command tell each other. `output` is the SafeOutput of `show/safe.py`.
    """

    config: Config
    cloud: Any
    data: dict[str, Any]
    output: Any

    def register_event(self, event_name: str, handler: Callable[..., None]) -> None: ...


class Command(Protocol):
    """The command that is running. `name` is without `az`, such as `acr prune plan`."""

    name: str
    cli_ctx: Context
