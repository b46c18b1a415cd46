"""The error bodies of the service, as its recordings show them."""

from __future__ import annotations

import json
from typing import Any

DISALLOWED = (
    'The operation is disallowed on this registry, repository or image. View troubleshooting steps at '
    'https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation'
)
TOO_MANY = (
    'Too many requests. Please visit https://aka.ms/acr/skus#sku-feature-matrix to view limits of all service tiers.'
)
UNAUTHORIZED = 'authentication required, visit https://aka.ms/acr/authorization for more information.'


class RegistryFailure(Exception):
    """An answer other than success: status, code, message and detail as they go over the wire."""

    def __init__(self, status: int, code: str, message: str, detail: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail

    def body(self) -> bytes:
        error = {'code': self.code, 'message': self.message}
        if self.detail is not None:
            error['detail'] = self.detail
        return json.dumps({'errors': [error]}, separators=(',', ':')).encode() + b'\n'


def name_unknown(repository: str) -> RegistryFailure:
    return RegistryFailure(404, 'NAME_UNKNOWN', 'repository name not known to registry', {'name': repository})


def tag_unknown() -> RegistryFailure:
    return RegistryFailure(404, 'TAG_UNKNOWN', 'the specified tag does not exist')


def manifest_unknown() -> RegistryFailure:
    return RegistryFailure(404, 'MANIFEST_UNKNOWN', 'manifest unknown')


def revision_unknown(repository: str, reference: str, detail: bool) -> RegistryFailure:
    return RegistryFailure(
        404,
        'MANIFEST_UNKNOWN',
        f'manifest {reference} is not found',
        {'Name': repository, 'Revision': reference} if detail else None,
    )


def blob_unknown(digest: str) -> RegistryFailure:
    return RegistryFailure(404, 'BLOB_UNKNOWN', 'blob unknown to registry', {'digest': digest})


def disallowed() -> RegistryFailure:
    return RegistryFailure(405, 'REGISTRY_DISALLOWED_OPERATION', DISALLOWED, {})


def too_many() -> RegistryFailure:
    return RegistryFailure(429, 'TOOMANYREQUESTS', TOO_MANY)


def unauthorized(repository: str, actions: list, kind: str = 'repository') -> RegistryFailure:
    """One entry of `detail` for each missing action; no detail where no action was asked for by name."""
    detail = [{'Type': kind, 'Name': repository, 'Action': action} for action in actions]
    return RegistryFailure(401, 'UNAUTHORIZED', UNAUTHORIZED, detail or None)


def digest_deleted() -> RegistryFailure:
    """A push of what is soft-deleted is refused; how has not been recorded."""
    return RegistryFailure(409, 'CONFLICT', 'the manifest is soft-deleted: restore it')


def subject_deleted() -> RegistryFailure:
    """How a referrer is refused while its subject is soft-deleted has not been recorded."""
    return RegistryFailure(409, 'CONFLICT', 'the subject of the manifest is soft-deleted: restore that first')
