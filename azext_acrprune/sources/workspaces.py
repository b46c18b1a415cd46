"""Log Analytics workspaces, as users name them."""

from __future__ import annotations

import re

from .arm import ResourceManager
from .failure import AskError

_GUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z', re.IGNORECASE)
_PROVIDER = '/providers/Microsoft.OperationalInsights/workspaces'
_VERSION = '2022-10-01'


def workspace_guid(manager: ResourceManager, workspace: str) -> str:
    """The GUID of a workspace that is given by it, by its resource id, or by its name. Raises AskError."""
    if _GUID.match(workspace):
        return workspace
    source = f"the Log Analytics workspace '{workspace}'"
    if workspace.startswith('/'):
        found = [manager.one(source, workspace, _VERSION)]
    else:
        path = f'/subscriptions/{manager.subscription}{_PROVIDER}'
        found = [
            each
            for each in manager.every(source, path, _VERSION)
            if str(each.get('name', '')).lower() == workspace.lower()
        ]
    if len(found) != 1:
        raise AskError(
            source,
            'several have this name' if found else 'there is none of this name in the subscription',
            'Give its resource id, or its workspace id, which is a GUID.',
        )
    guid = (found[0].get('properties') or {}).get('customerId')
    if not isinstance(guid, str) or not _GUID.match(guid):
        raise AskError(source, 'it has no workspace id')
    return guid
