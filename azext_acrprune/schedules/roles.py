"""The roles that the identity of a schedule needs, and nothing more."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from ..model import Document

ABAC = 'AbacRepositoryPermissions'
"""The mode of a registry whose role assignments are by repository."""
_STORAGE = 'azure-blob:'


@dataclass(frozen=True)
class Role:
    """A built-in role, by its name, at a scope."""

    name: str
    scope: str


def roles_of(
    registry_id: str,
    enforce: bool,
    by_repository: bool,
    places: Iterable[str],
    accounts: dict[str, str],
    asks: bool,
    pushes: bool = False,
) -> list[Role]:
    """What a run does: it reads the registry, deletes when it may, and uses storage; with `asks` it looks for pins.

    With `pushes` it pushes its report. `accounts` are the resource ids of the storage accounts in `places`.
    """
    if by_repository:
        content = 'Contributor' if enforce else 'Writer' if pushes else 'Reader'
        names = ['Container Registry Repository Catalog Lister', f'Container Registry Repository {content}']
    else:
        names = ['AcrPush' if pushes else 'AcrPull', *(['AcrDelete'] if enforce else [])]
    roles = [Role(name, registry_id) for name in ('Reader', *names)]
    for place in sorted({account_of(place) for place in places if place.startswith(_STORAGE)}):
        roles.append(Role('Storage Blob Data Contributor', accounts[place]))
    if asks:
        roles.append(Role('Reader', '/'.join(registry_id.split('/')[:3])))
    return roles


def account_of(place: str) -> str:
    """The storage account of `azure-blob:ACCOUNT/CONTAINER`."""
    return place.removeprefix(_STORAGE).partition('/')[0]


def assignment_name(role: Role, principal: str) -> str:
    """The name of a role assignment: the same for the same, so that creating it twice changes nothing."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f'{role.scope.lower()}|{role.name}|{principal}'))


def assignment_command(role: Role, principal: str) -> str:
    """The command that assigns a role."""
    return (
        f'az role assignment create --role "{role.name}" --assignee-object-id {principal} '
        f'--assignee-principal-type ServicePrincipal --scope {shlex.quote(role.scope)}'
    )


def role_document(role: Role, principal: str, state: str) -> Document:
    return {'role': role.name, 'scope': role.scope, 'command': assignment_command(role, principal), 'state': state}
