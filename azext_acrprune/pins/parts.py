"""Images whose parts stand under keys of their own, as in the values of Helm, in Kustomize and in SBOM documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from .references import (
    TEMPLATE,
    Finding,
    Reference,
    RegistryNames,
    Unresolved,
    find_references,
    reference_to,
    split_repository,
)

_KEY = re.compile(
    r'(?P<group>.*?)(?P<part>registry|loginserver|repository|repourl|repo|newname|image|name|url|newtag|tag'
    r'|targetrevision|semver|versioninfo|version|chart|digest|sha256|sha)\Z'
)
_REPOSITORY_PARTS = ('newname', 'repository', 'repourl', 'repo', 'image', 'name', 'url')
_TAG_PARTS = ('newtag', 'tag', 'targetrevision', 'semver')
_VERSION_PARTS = ('version', 'versioninfo')
_DIGEST_PARTS = ('digest', 'sha256', 'sha')
_HEX = re.compile(r'[0-9a-fA-F]{64}\Z')
_PLAIN_NAME = re.compile(r'[a-z0-9][a-z0-9._/-]{0,255}\Z')

_Part = tuple[str, int]
"""A text and its line."""

Entries = Mapping[str, _Part]


def image_in_parts(entries: Entries, names: RegistryNames) -> Iterator[tuple[Finding, _Part]]:
    """(finding, the entry that names the repository) of each image that the texts of one mapping make together."""
    for parts in _groups(entries):
        for key in _REPOSITORY_PARTS:
            if key in parts:
                yield from _image(parts, key, names)


def hostless_image(entries: Entries, names: RegistryNames) -> Iterator[tuple[Finding, int]]:
    """The same of images that name no registry, for documents that name it for all of them (`global.imageRegistry`)."""
    for parts in _groups(entries):
        repository, line = parts.get('repository', ('', 0))
        tag, digest = _first(parts, _TAG_PARTS), _digest(parts)
        hostless = 'registry' not in parts and _PLAIN_NAME.match(repository) and not find_references(repository, names)
        if hostless and (tag or digest):
            finding = reference_to(repository, tag, digest, certain=False)
            if isinstance(finding, Reference):
                yield finding, line


def _groups(entries: Entries) -> Iterator[dict[str, _Part]]:
    """The parts, of each image that has a prefix of its own: `sidecarImage`, `sidecarTag`."""
    groups: dict[str, dict[str, _Part]] = {}
    for key, value in entries.items():
        group, part = _group_and_part(key)
        if part:
            groups.setdefault(group, {}).setdefault(part, value)
    return (parts for parts in groups.values() if len(parts) > 1)


@lru_cache(maxsize=10_000)
def _group_and_part(key: str) -> tuple[str, str]:
    match = _KEY.match(re.sub('[_.-]', '', key.lower())) if len(key) <= 100 else None
    if not match:
        return '', ''
    group = match['group']
    return group[:-5] if group.endswith('image') else group, match['part']


def _image(parts: Mapping[str, _Part], key: str, names: RegistryNames) -> Iterator[tuple[Finding, _Part]]:
    base = _with_registry(parts[key][0], parts, names)
    if base is None:
        return
    tag, digest = _tag(parts), _digest(parts)
    chart = _chart(parts, key)
    if chart:
        base = f'{base.rstrip("/")}/{chart}'
    if tag and not digest:
        tag, digest = _without_digest(tag)
    yield from ((finding, parts[key]) for finding in _findings(base, tag, digest, parts, names))
    if key == 'image' and _first(parts, (*_TAG_PARTS, *_DIGEST_PARTS)) is None:  # the version may be of something else
        yield from ((finding, parts[key]) for finding in find_references(base, names))


def _findings(
    base: str, tag: str | None, digest: str | None, parts: Mapping[str, _Part], names: RegistryNames
) -> Iterator[Finding]:
    repository = split_repository(base, names)
    if repository is None:  # its host, or a part of its name, is filled in
        written = f'{base}{":" + tag if tag else ""}{"@" + digest if digest else ""}'
        yield from find_references(written, names) if tag or digest else ()
    elif tag or digest:
        yield reference_to(repository, tag, digest)
    elif any(part in parts for part in _TAG_PARTS):
        yield Unresolved(base, 'its tag is left empty, and is filled in by another tool')
    elif 'registry' in parts:
        yield reference_to(repository, None, None, certain=False)


def _with_registry(text: str, parts: Mapping[str, _Part], names: RegistryNames) -> str | None:
    """The repository with its registry, where that is or may be this one, and the text alone is no whole reference."""
    if split_repository(text, names):
        return text
    registry = _first(parts, ('registry', 'loginserver'))
    if not registry and re.search(TEMPLATE, text):
        return text
    if not registry or not text or find_references(text, names):
        return None
    if registry.lower() == names.login_server.partition('.')[0].lower():  # Azure Pipelines
        registry = names.login_server
    return f'{registry.rstrip("/")}/{text.lstrip("/")}'


def _without_digest(tag: str) -> tuple[str | None, str | None]:
    """A tag and a digest, of what stands in the place of a tag: `v1`, `v1@sha256:...` or `sha256:...`."""
    name, _, digest = tag.partition('@')
    if not digest and name.startswith('sha256:'):
        name, digest = '', name
    return name or None, digest or None


def _tag(parts: Mapping[str, _Part]) -> str | None:
    tag = _first(parts, (*_TAG_PARTS, *_VERSION_PARTS))
    return tag.strip().replace('+', '_') if tag else None


def _chart(parts: Mapping[str, _Part], key: str) -> str | None:
    """The name of a chart, where the repository is only the place of charts."""
    if key == 'repourl':
        return _first(parts, ('chart',))
    if key == 'repository' and 'version' in parts and parts[key][0].lower().startswith('oci://'):
        return _first(parts, ('name',))
    return None


def _digest(parts: Mapping[str, _Part]) -> str | None:
    digest = _first(parts, _DIGEST_PARTS)
    if digest is None:
        return None
    return f'sha256:{digest}' if _HEX.match(digest) else digest


def _first(parts: Mapping[str, _Part], keys: tuple[str, ...]) -> str | None:
    found: list[str] = [parts[key][0] for key in keys if key in parts and parts[key][0].strip()]
    return found[0] if found else None
