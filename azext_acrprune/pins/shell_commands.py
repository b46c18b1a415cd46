"""Commands that name images: which of them run or pull what they name, and what the registry's own commands make."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .references import RegistryNames

_RUNS = re.compile(
    r'\b(?:docker|podman|nerdctl|crictl|ctr|buildah|kubectl|oc|singularity|apptainer)\b[^\n]{0,300}?'
    r'\s(?:run|pull|create|exec)\s'
)
_REGISTRY_COMMAND = re.compile(r'\baz\s+acr\s+(import|build|pack)\b')
_REGISTRY_NAME = re.compile(r'\s(?:-n|--name|-r|--registry)(?:=|\s+)["\']?(\$\{?\w+\}?|\$\([\w.-]+\)|[\w.-]+)')
_REGISTRY_IMAGE = re.compile(r'\s(?:-t|--image)(?:=|\s+)["\']?([^\s"\']+)')
_SOURCE = re.compile(r'\s--source(?:=|\s+)["\']?[\w-]+(?:\.[\w-]+)+(?::\d+)?/([^\s"\'@]+:[^\s"\'@]+)')


def runs_image(text: str) -> bool:
    """Whether a text is a command that runs or pulls an image."""
    return ' ' in text and _RUNS.search(text) is not None


def in_own_registry(text: str, names: RegistryNames) -> Iterator[str]:
    """The images that `az acr import -n myreg -t app:1` makes: the registry stands there by its name, or is a value.

    An import without a name of its own takes that of its source.
    """
    command = _REGISTRY_COMMAND.search(text)
    name = _REGISTRY_NAME.search(text) if command else None
    if not command or not name:
        return
    imports = command[1] == 'import'
    host = ''
    if name[1].lower() in (names.login_server, names.login_server.partition('.')[0]):
        host = names.login_server
    elif imports and name[1].startswith('$'):
        host = f'{name[1]}.azurecr.io'
    images = _REGISTRY_IMAGE.findall(text) or (_SOURCE.findall(text) if imports else [])
    yield from (f'{host}/{image}' for image in images if host)
