"""`az acr prune schema`: the JSON schemas of all documents. Asks nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .command import Command

if TYPE_CHECKING:
    from ..model import Document


def list_schemas() -> list[Document]:
    """Each document, and the commands that answer with it."""
    from ..documents.schemas import OF_COMMAND, names, title

    return [
        {
            'name': name,
            'title': title(name),
            'commands': [command for command, documents in OF_COMMAND.items() if name in documents],
        }
        for name in names()
    ]


def show(name: str) -> Document:
    """The JSON schema of one document."""
    from ..documents.schemas import schema

    return schema(name)


def show_of_command(cmd: Command) -> Document:
    """The JSON schema of the document that a command answers with: `az acr prune plan show-schema`."""
    from ..documents.schemas import OF_COMMAND, schema

    command = cmd.name.removeprefix('acr prune ').removesuffix(' show-schema')
    return schema(OF_COMMAND[command][0])
