"""Manifest bytes -> what the graph and the impact need of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from ..model import Blob, Content, Unreadable

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_TOO_LARGE = 2**63

_ALGORITHMS = {'sha256': hashlib.sha256, 'sha384': hashlib.sha384, 'sha512': hashlib.sha512}
_DIGEST = re.compile(r'(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})\Z')
ATTACHMENT_PREFIX = 'sha256-'
"""The begin of a tag that attaches its manifest to a digest."""
_ATTACHMENT_TAG = re.compile(r'sha256-([0-9a-f]{64})(\.[A-Za-z0-9._-]+)?\Z')
_ATTESTATION_KEY = 'vnd.docker.reference.type'

# Docker's image manifests have no `subject` field and no `manifests` list (the distribution and image
# specifications of Docker). An OCI image manifest has no children either, but may have a subject: deleting that
# subject would take the referrer with it, so an OCI manifest always has to be read.
_WITHOUT_EDGES = frozenset(
    {
        'application/vnd.docker.distribution.manifest.v2+json',
        'application/vnd.docker.distribution.manifest.v1+json',
        'application/vnd.docker.distribution.manifest.v1+prettyjws',
    }
)


def has_no_edges(media_type: str | None) -> bool:
    """Whether a manifest of this media type can have neither children nor a subject."""
    return media_type in _WITHOUT_EDGES


def is_digest(text: Any) -> bool:
    """Whether this is a digest that can be verified."""
    return isinstance(text, str) and bool(_DIGEST.match(text))


def attachment_subject(tag: str) -> str | None:
    """The digest that a tag of cosign or of the OCI referrers fallback is attached to, None for a user's tag."""
    match = _ATTACHMENT_TAG.match(tag) if tag.startswith(ATTACHMENT_PREFIX) else None
    return f'sha256:{match.group(1)}' if match else None


def read_manifest(digest: str, data: bytes) -> Content | Unreadable:
    """What the manifest `digest` says, or why that cannot be known.

    Whatever does not have the shape of a manifest is unreadable: it must not be taken for one without children.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        return Unreadable('it is larger than 4 MiB')
    if not _is_content_of(digest, data):
        return Unreadable('its bytes do not match its digest')
    try:
        document = json.loads(data)
        if not isinstance(document, dict):
            return Unreadable('it is not a JSON object')
        if 'fsLayers' in document:
            raise ValueError('Docker schema 1 does not say the sizes of its layers')
        return Content(
            size=len(data),
            children=tuple(dict.fromkeys(_manifest_of(child) for child in _list(document, 'manifests'))),
            subject=_manifest_of(document['subject']) if document.get('subject') is not None else None,
            blobs=_blobs(document),
            config=_digest_of(document['config']) if document.get('config') is not None else None,
            annotations=_annotations(document),
            attestations=tuple(_attestations(document)),
        )
    except RecursionError:
        return Unreadable('it is nested too deeply')
    except ValueError as error:
        return Unreadable(f'it is not a valid manifest ({error})')


def read_labels(digest: str, data: bytes) -> dict[str, str] | None:
    """The labels in the config blob `digest` of an image, None when it cannot be read."""
    if not _is_content_of(digest, data):
        return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    config = document.get('config') if isinstance(document, dict) else None
    labels = config.get('Labels') if isinstance(config, dict) else None
    return {key: value for key, value in labels.items() if isinstance(value, str)} if isinstance(labels, dict) else {}


def _is_content_of(digest: str, data: bytes) -> bool:
    if not is_digest(digest):
        return False
    algorithm, _, expected = digest.partition(':')
    return _ALGORITHMS[algorithm](data).hexdigest() == expected


def _list(document: dict[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f'{key} is not a list')
    return value


def _digest_of(descriptor: Any) -> str:
    if not isinstance(descriptor, dict) or not isinstance(descriptor.get('digest'), str):
        raise ValueError('a descriptor has no digest')
    return descriptor['digest']


def _manifest_of(descriptor: Any) -> str:
    """The digest of a child or subject: it will be shown, so that it must be spelled like one."""
    digest = _digest_of(descriptor)
    if not is_digest(digest):
        raise ValueError('it refers to something that is no digest')
    return digest


def _annotations(document: dict[str, Any]) -> tuple:
    """The pairs of text among the annotations: nothing depends on the others."""
    found = document.get('annotations')
    pairs = found.items() if isinstance(found, dict) else ()
    return tuple((key, value) for key, value in pairs if isinstance(value, str))


def _attestations(document: dict[str, Any]) -> Iterator[str]:
    """The children of an index that BuildKit marks as statements on others; buildx makes them by default."""
    for child in _list(document, 'manifests'):
        pairs = child.get('annotations')
        if isinstance(pairs, dict) and _ATTESTATION_KEY in pairs:
            yield _digest_of(child)


def _blobs(document: dict[str, Any]) -> tuple:
    descriptors = _list(document, 'layers') + _list(document, 'blobs')
    if document.get('config') is not None:
        descriptors.append(document['config'])
    sizes: dict[str, int] = {}
    for descriptor in descriptors:
        digest = _digest_of(descriptor)
        if descriptor.get('urls'):
            continue
        size = descriptor.get('size')
        # pylint: disable-next=unidiomatic-typecheck  # True would be an int too
        if type(size) is not int or not 0 <= size < _TOO_LARGE:
            raise ValueError('a descriptor has no size')
        if size >= sizes.get(digest, 0):
            sizes[digest] = size
    return tuple(Blob(digest, size) for digest, size in sizes.items())
