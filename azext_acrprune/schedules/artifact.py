"""The OCI artifact that a task runs from: files, with a checksum of each. The same files give the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..model import Document

REPOSITORY = 'acrprune/schedules'
REPORTS = 'acrprune/reports'
"""The repository with the last report of each schedule, which has its name as a tag."""
MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
ARTIFACT_TYPE = 'application/vnd.acrprune.schedule.v1'
REPORT_TYPE = 'application/vnd.acrprune.report.v1'
PREVIEW_TYPE = 'application/vnd.acrprune.preview.v1'
CHECKSUMS = 'checksums.txt'
_CONFIG_TYPE = 'application/vnd.acrprune.schedule.config.v1+json'
_EMPTY_TYPE = 'application/vnd.oci.empty.v1+json'
_FILE_TYPE = 'application/octet-stream'
_MARKDOWN_TYPE = 'text/markdown'
_SCHEDULE, _ARTIFACT = 'acrprune.schedule', 'acrprune.artifact'
_PREVIEW = '.preview'
_TITLE = 'org.opencontainers.image.title'
_EMPTY = b'{}'
_FIRST_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold."""


@dataclass(frozen=True)
class Artifact:
    """A manifest, and the blobs that it names, by digest."""

    manifest: bytes
    blobs: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def digest_of(data: bytes) -> str:
    return f'sha256:{hashlib.sha256(data).hexdigest()}'


def preview_tag(name: str) -> str:
    """The tag that is there until the first run of a schedule is over. A schedule's name has no dot."""
    return f'{name}{_PREVIEW}'


def previewed_tag(tag: str) -> str:
    """The tag of the schedule that a `preview_tag` is of."""
    return tag.removesuffix(_PREVIEW)


def artifact_of(config: Document, files: Mapping[str, bytes]) -> Artifact:
    """The artifact of a schedule: its configuration, and its files with `checksums.txt`."""
    whole = {**files, CHECKSUMS: checksums_of(files)}
    configuration = _json(config)
    layers = [{**_descriptor(_FILE_TYPE, whole[name]), 'annotations': {_TITLE: name}} for name in sorted(whole)]
    blobs = {digest_of(data): data for data in (configuration, *whole.values())}
    return Artifact(_manifest(ARTIFACT_TYPE, _descriptor(_CONFIG_TYPE, configuration), layers), blobs)


def preview_of(name: str, digest: str) -> Artifact:
    """What the tag is on that says that a run of this schedule, as it is now, has still to show what it would do."""
    annotations = {_SCHEDULE: name, _ARTIFACT: digest}
    empty = _descriptor(_EMPTY_TYPE, _EMPTY)
    return Artifact(_manifest(PREVIEW_TYPE, empty, [empty], annotations), {digest_of(_EMPTY): _EMPTY})


def previewed_in(manifest: Mapping[str, Any]) -> str:
    """The name of the schedule that `preview_of` was given."""
    return str(manifest['annotations'][_SCHEDULE])


def artifact_in(manifest: Mapping[str, Any]) -> str:
    """The digest of the artifact that `preview_of` was given."""
    return str(manifest['annotations'][_ARTIFACT])


def report_of(markdown: str) -> Artifact:
    """What a run tells, as one file `report.md`."""
    data = markdown.encode()
    layer = {**_descriptor(_MARKDOWN_TYPE, data), 'annotations': {_TITLE: 'report.md'}}
    manifest = _manifest(REPORT_TYPE, _descriptor(_EMPTY_TYPE, _EMPTY), [layer])
    return Artifact(manifest, {digest_of(_EMPTY): _EMPTY, digest_of(data): data})


def checksums_of(files: Mapping[str, bytes]) -> bytes:
    """A line for each file, as `sha256sum --check` reads it."""
    return ''.join(f'{hashlib.sha256(files[name]).hexdigest()}  {name}\n' for name in sorted(files)).encode()


def files_in(manifest: Mapping[str, Any]) -> dict[str, str]:
    """{name of a file: its digest} of an artifact that was pushed."""
    return {layer['annotations'][_TITLE]: layer['digest'] for layer in manifest['layers']}


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip file with these files in it: without times, owners and compression, and in one order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _FIRST_TIME)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    """The files in a zip file that `zipped` made."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _manifest(
    kind: str, config: Document, layers: list[Document], annotations: Mapping[str, str] | None = None
) -> bytes:
    document = {
        'schemaVersion': 2,
        'mediaType': MANIFEST_TYPE,
        'artifactType': kind,
        'config': config,
        'layers': layers,
        **({'annotations': annotations} if annotations else {}),
    }
    return _json(document)


def _descriptor(media_type: str, data: bytes) -> Document:
    return {'mediaType': media_type, 'digest': digest_of(data), 'size': len(data)}


def _json(document: Document) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(',', ':')).encode()
