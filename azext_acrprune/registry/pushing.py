"""The verbs that bring something back: blobs by mount or upload, manifests, tags, and what was soft-deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from ..model import Locks
from .client import Registry
from .pipeline import REPOSITORY_OPTION, Request
from .protocol.listings import parse_deleted
from .protocol.refusals import Kind, RegistryError

_BYTES = {'Content-Type': 'application/octet-stream'}


class PushingRegistry(Registry):
    """A registry that can be pushed to. Every method raises RegistryError and is safe to call from many threads."""

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a repository has a blob."""
        answer = self._send(Request('HEAD', self._blob_url(repository, digest)), **{REPOSITORY_OPTION: repository})
        return answer.status_code in (200, 301, 302, 303, 307, 308)

    def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        """Have a blob of another repository in this one; false when the registry wants it uploaded instead."""
        query = urlencode({'mount': digest, 'from': source})
        request = Request('POST', f'{self._endpoint}/v2/{quote(repository)}/blobs/uploads/?{query}')
        return self._answer((repository, source), request).status_code == 201

    def upload_blob(self, repository: str, digest: str, chunks: Iterable[bytes]) -> None:
        """Upload a blob chunk by chunk; the registry verifies its digest. Contents are never logged."""
        place = f'{self._endpoint}/v2/{quote(repository)}/blobs/uploads/'
        place = self._next(place, self._upload(repository, Request('POST', place)))
        start = 0
        for chunk in chunks:
            headers = {**_BYTES, 'Content-Range': f'{start}-{start + len(chunk) - 1}'}
            answer = self._upload(repository, Request('PATCH', place, headers=headers, content=chunk))
            place, start = self._next(place, answer), start + len(chunk)
        joint = '&' if urlsplit(place).query else '?'
        self._upload(repository, Request('PUT', f'{place}{joint}digest={quote(digest, safe="")}'))

    def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> None:
        """Push the bytes of a manifest under its digest or a tag."""
        url = f'{self._endpoint}/v2/{quote(repository)}/manifests/{quote(reference, safe=":")}'
        self._answer(repository, Request('PUT', url, headers={'Content-Type': media_type}, content=data))

    def tag_digest(self, repository: str, tag: str) -> str | None:
        """What a tag is on now, None when there is no such tag."""
        try:
            return self.tag_properties(repository, tag).digest
        except RegistryError as error:
            if error.kind is Kind.NOT_FOUND:
                return None
            raise

    def lock(self, repository: str, reference: str, locks: Locks) -> None:
        """Set locks on a digest or a tag, and take none off."""
        what = '_manifests' if ':' in reference else '_tags'
        flags = {
            name: False
            for name, enabled in (('deleteEnabled', locks.delete_enabled), ('writeEnabled', locks.write_enabled))
            if not enabled
        }
        url = f'{self._endpoint}/acr/v1/{quote(repository)}/{what}/{quote(reference, safe=":")}'
        self._answer(repository, Request('PATCH', url, json=flags))

    def deleted_manifests(self, repository: str) -> dict[str, str]:
        """What is soft-deleted in a repository: when, by digest."""
        found: dict[str, str] = {}
        for page in self._pages(repository, f'/acr/v1/_deleted/{quote(repository)}/_manifests', parse_deleted):
            found.update(page)
        return found

    def restore_deleted(self, repository: str, digest: str, tag: str | None = None) -> None:
        """Bring a soft-deleted manifest back, under a tag if one is given, as `az acr manifest restore` does."""
        url = f'{self._endpoint}/acr/v1/_deleted/{quote(repository)}/_manifests/{quote(digest, safe=":")}?force=false'
        self._answer(repository, Request('POST', url, json={'tag': tag}))

    def _upload(self, repository: str, request: Request) -> Any:
        return self._answer(repository, request, logging_enable=False)

    def _next(self, url: str, answer: Any) -> str:
        place = urljoin(url, answer.headers.get('Location', ''))
        if urlsplit(place)[:2] != urlsplit(self._endpoint)[:2]:  # our token must not follow it there
            raise RegistryError(Kind.NOT_A_REGISTRY, 'An upload is said to go on at another host')
        return place
