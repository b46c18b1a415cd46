"""Manifest bytes -> what the graph and the impact need of them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..model import Blob, Content, Unreadable
from .schema1 import SCHEMA_1_TYPES, signed_payload

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_TOO_LARGE = 2**63

_ALGORITHMS = {'sha256': hashlib.sha256, 'sha384': hashlib.sha384, 'sha512': hashlib.sha512}
_DIGEST = re.compile(r'(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})\Z')
ATTACHMENT_PREFIX = 'sha256-'
"""The begin of a tag that attaches its manifest to a digest."""
_ATTACHMENT_TAG = re.compile(r'sha256-([0-9a-f]{64})(\.[A-Za-z0-9._-]+)?\Z')
_ATTESTATION_KEY = 'vnd.docker.reference.type'

INDEX_TYPES = ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json')

STREAMING_TYPE = 'application/vnd.azure.artifact.streaming.v1'
"""The artifact type of the copy that artifact streaming makes of an image: a referrer of it, as large as the image."""

# Docker's image manifests have no `subject` field and no `manifests` list (the distribution and image
# specifications of Docker). An OCI image manifest has no children either, but may have a subject: deleting that
# subject would take the referrer with it, so an OCI manifest always has to be read.
_WITHOUT_EDGES = frozenset({'application/vnd.docker.distribution.manifest.v2+json', *SCHEMA_1_TYPES})

# An index may hold blobs: BuildKit's registry cache does (docker/buildx#173). Whatever calls itself a manifest or an
# index is a child, and so is what does not say what it is: a child that is there is kept.
_CHILD_TYPE = re.compile(r'(?:^|[./+-])(?:manifest|index)(?:[./+-]|$)')

# What other clients look for. Go reads keys in any case, and of a key that is there twice it takes the last one or a
# mixture: a manifest that is read in more than one way may have edges that we do not see.
_KEYS = frozenset(
    (
        'schemaVersion',
        'mediaType',
        'artifactType',
        'manifests',
        'config',
        'layers',
        'blobs',
        'subject',
        'annotations',
        'fsLayers',
        'signatures',
        'digest',
        'size',
        'urls',
        'data',
        'platform',
        'blobSum',
    )
)
_FOLDED_KEYS = frozenset(key.casefold() for key in _KEYS)
# `refers` is from a draft of the OCI specification, `subjectManifest` from one of ORAS artifacts.
_DRAFT_SUBJECTS = frozenset(('refers', 'subjectmanifest'))


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


def is_fallback_tag(tag: str) -> bool:
    """Whether a tag is spelled like that of the OCI referrers fallback: a digest, and nothing after it."""
    return len(tag) == len(ATTACHMENT_PREFIX) + 64 and attachment_subject(tag) is not None


def read_manifest(digest: str, data: bytes) -> Content | Unreadable:
    """What the manifest `digest` says, or why that cannot be known.

    Whatever does not have the shape of a manifest is unreadable: it must not be taken for one without children.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        return Unreadable('it is larger than 4 MiB')
    try:
        said = data if _is_content_of(digest, data) else signed_payload(data)
        if said is None or not _is_content_of(digest, said):
            return Unreadable('its bytes do not match its digest')
        return _content(said, len(data))
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


def _content(data: bytes, size: int) -> Content:
    """Raises ValueError, and RecursionError, when these bytes are no manifest."""
    document = json.loads(data, object_pairs_hook=_object)
    if not isinstance(document, dict):
        raise ValueError('it is not a JSON object')
    _check_keys(document)
    entries = _list(document, 'manifests')
    for entry in entries:
        _check_descriptor(entry)
    children = [entry for entry in entries if _is_child(entry)]
    stored, unmeasured = _blobs(document, [entry for entry in entries if not _is_child(entry)])
    inlined = {_manifest_of(child): data for child in children for data in [_inlined(child)] if data is not None}
    return Content(
        size,
        tuple(dict.fromkeys((*map(_manifest_of, children), *_children_of(inlined)))),
        _manifest_of(document['subject']) if document.get('subject') is not None else None,
        stored,
        _digest_of(document['config']) if document.get('config') is not None else None,
        _annotations(document),
        tuple(_attestations(document)),
        tuple(inlined),
        unmeasured,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError('a key is there twice')
    return found


def _check_keys(found: dict[str, Any]) -> None:
    """Raises ValueError where another client would read a key that is not there for us."""
    for key in found.keys() - _KEYS:
        folded = key.casefold()
        if folded in _FOLDED_KEYS:
            raise ValueError('a key is not spelled as the specification says')
        if folded in _DRAFT_SUBJECTS:
            raise ValueError('it names its subject as an old draft of the specification does')


def _check_descriptor(descriptor: Any) -> None:
    if not isinstance(descriptor, dict):
        raise ValueError('a descriptor is not a JSON object')
    _check_keys(descriptor)


def _list(document: dict[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f'{key} is not a list')
    return value


def _digest_of(descriptor: Any) -> str:
    _check_descriptor(descriptor)
    digest = descriptor.get('digest')
    if not isinstance(digest, str):
        raise ValueError('a descriptor has no digest')
    return digest


def _manifest_of(descriptor: Any) -> str:
    """The digest of a child or subject: it will be shown, so that it must be spelled like one."""
    digest = _digest_of(descriptor)
    if not is_digest(digest):
        raise ValueError('it refers to something that is no digest')
    return digest


def _is_child(descriptor: dict[str, Any]) -> bool:
    """Whether a descriptor in an index is that of a manifest."""
    media_type = descriptor.get('mediaType')
    if not isinstance(media_type, str) or not media_type:
        return True
    return bool(_CHILD_TYPE.search(media_type.partition(';')[0].strip().casefold()))


def _inlined(descriptor: dict[str, Any]) -> bytes | None:
    """The bytes that a descriptor brings along, when they are those of its digest.

    Other clients, those in Go among them, skip line breaks.
    """
    data = descriptor.get('data')
    if not isinstance(data, str):
        return None
    try:
        said = base64.b64decode(data)  # whatever it skips, the digest tells whether these are the bytes
    except ValueError:
        return None
    return said if _is_content_of(descriptor['digest'], said) else None


def _children_of(inlined: dict[str, bytes]) -> Iterable[str]:
    """What inlined children need, as if this manifest named it itself. Raises ValueError when one has no shape."""
    for data in inlined.values():
        said = _content(data, len(data))
        yield from said.children
        if said.subject is not None:
            yield said.subject


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


def _blobs(document: dict[str, Any], in_index: list[Any]) -> tuple[tuple[Blob, ...], tuple[Blob, ...]]:
    """The blobs that are stored, and those of which only the registry knows; `in_index` are those of an index."""
    descriptors = _list(document, 'layers') + _list(document, 'blobs') + in_index
    if document.get('config') is not None:
        descriptors.append(document['config'])
    stored: dict[str, int] = {}
    unmeasured: dict[str, int] = {}
    for descriptor in descriptors:
        digest = _digest_of(descriptor)
        if descriptor.get('urls'):
            unmeasured[digest] = max(_size_of(descriptor) or 0, unmeasured.get(digest, 0))
            continue
        size = _size_of(descriptor)
        if size is None:
            raise ValueError('a descriptor has no size')
        stored[digest] = max(size, stored.get(digest, 0))
    for layer in _list(document, 'fsLayers'):
        if not isinstance(layer, dict) or not is_digest(layer.get('blobSum')):
            raise ValueError('a layer has no digest')
        unmeasured[layer['blobSum']] = 0
    return _as_blobs(stored), _as_blobs({each: size for each, size in unmeasured.items() if each not in stored})


def _size_of(descriptor: dict[str, Any]) -> int | None:
    size = descriptor.get('size')
    # pylint: disable-next=unidiomatic-typecheck  # True would be an int too
    return size if type(size) is int and 0 <= size < _TOO_LARGE else None


def _as_blobs(sizes: dict[str, int]) -> tuple[Blob, ...]:
    return tuple(Blob(digest, size) for digest, size in sizes.items())
