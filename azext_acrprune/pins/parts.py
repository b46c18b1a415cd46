"""Images whose parts stand under keys of their own, as in the values of Helm, in Kustomize and in SBOM documents."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from .around import group_and_part, has_host, host_of, inherited, inherited_tags, is_host, overriding, texts_of
from .filling import belong, has_holes
from .references import (
    Finding,
    Reference,
    RegistryNames,
    Unresolved,
    find_references,
    has_template,
    reference_to,
    split_repository,
)
from .scopes import Filled, Place, Scope, Value

_REPOSITORY_PARTS = (
    'newname', 'repository', 'repourl', 'repo', 'image', 'name', 'url', 'uri', 'package', 'reference', 'id', 'path',
    'chart',
)  # fmt: skip
_WHOLE = ('newname', 'repository', 'repo', 'image')
_WHOLE_WITH_NAME = frozenset(('name', 'image', 'id'))
_INHERITING = ('repository', 'repo', 'image', 'name')
_PLAIN_KEYS = ('name', 'id', 'path')
"""Keys of anything, and without a tag beside them rather not of images."""

_TAG_PARTS = ('newtag', 'tag', 'targetrevision', 'semver')
_VERSION_PARTS = ('version', 'versioninfo', 'revision')
_DIGEST_PARTS = ('digest', 'sha256', 'sha')
_CHART_PLACES = ('repourl', 'repository', 'repo')
_GROUPS = ('group', 'organization', 'org')
_PATHS = ('path', 'project', 'namespace')
_TYPE = '${string}'
"""What CUE says of a key that has no value yet."""

_HEX = re.compile(r'[0-9a-fA-F]{64}\Z')
_TAGGED = re.compile(r'[:@][^/]+\Z')
_ANY_VERSION = re.compile(r'(?:^|\.)[xX*](?:\.|\Z)')
_PLAIN_NAME = re.compile(r'[a-z0-9][a-z0-9._/-]{0,255}\Z')
_NO_TAG = frozenset(('', 'null', '~', 'none', '<none>', 'nil', 'undefined'))

ALONE, WITH_IMAGE = 'alone', 'with an image'
"""How a document names the registry: where it stands alone, images without one are more likely to be in it."""

Parts = Mapping[str, list[Value]]


@dataclass(frozen=True, slots=True)
class Made:
    """An image that parts make: where its repository stands, and the lines of all of its parts."""

    finding: Finding
    repository: Value
    lines: frozenset[Place]


def may_be_parts(scope: Scope) -> bool:
    """Whether the texts of a scope may make an image together, or with what stands around them."""
    if not keys_are_enough(tuple(scope.entries), tuple(scope.children)):
        return False
    return any(_complete_enough(parts) for parts in _groups(scope))


@lru_cache(maxsize=10_000)
def keys_are_enough(keys: tuple[str, ...], children: tuple[str, ...]) -> bool:
    """Whether keys may be those of an image in parts. Lists of pods have few kinds of mappings, and many of each."""
    groups: dict[str, set[str]] = {}
    for key in (*keys, *children):
        group, part = group_and_part(key)
        groups.setdefault(group, set()).update((part,) if part else ())
    common = 'registry' in groups.get('', ())
    return any('repository' in parts or len(parts) > 1 or common and parts for parts in groups.values())


def must_wait(scope: Scope, names: RegistryNames) -> bool:
    """Whether other parts of the document have to be known first."""
    for parts in _groups(scope):
        if not _complete_enough(parts):
            continue
        if any(has_holes(value.text) for values in parts.values() for value in values):
            return True
        if 'registry' in parts:
            if any(names.has(host_of(value.text)) for value in parts['registry']):
                continue
            return True  # `global` may say another one
        if not any(part in parts for part in (*_TAG_PARTS, *_VERSION_PARTS, *_DIGEST_PARTS)):
            continue
        if any(not split_repository(value.text, names) for part in _INHERITING for value in parts.get(part, ())):
            return True
    return False


def images(scope: Scope, names: RegistryNames, named: str) -> Iterator[Made]:
    """Each image that the texts of one scope make; `named` tells how its document names the registry, if it does."""
    for parts in _groups(scope):
        if not _complete_enough(parts):
            continue
        if parts.keys() <= _WHOLE_WITH_NAME and scope.key != 'to' and _are_whole(parts, names):
            continue
        plain = False
        whole = any(_is_whole(value.text, names) for key in _WHOLE for value in parts.get(key, ()))
        for key in _REPOSITORY_PARTS:
            if key == 'name' and ('newname' in parts or 'repourl' in parts or whole):
                continue
            for value in parts.get(key, ()):
                repository = _Repository(key, value, parts, scope)
                if find_references(value.text, names) or has_host(value.text):
                    yield from _images_of(repository, [], names, '')
                elif _may_have_host(value.text):  # or it is all of the name, and the host stands beside it
                    beside = 'registry' in parts and key in _WHOLE and value.text != _TYPE
                    yield from _images_of(repository, _registries(parts, scope, names) if beside else [], names, '')
                elif not plain:  # what stands behind a registry is its repository, and no other name beside it
                    yield from _images_of(repository, _registries(parts, scope, names), names, named)
            plain = plain or key in parts and not any(has_host(value.text) for value in parts[key])


def _are_whole(parts: Parts, names: RegistryNames) -> bool:
    """Whether the images in a container, or in its status, are whole: nothing beside them adds to them."""
    texts = [value.text for key in ('image', 'id') for value in parts.get(key, ())]
    return 'image' in parts and all(_is_finished(text, names) for text in texts)


@lru_cache(maxsize=4_096)
def _is_finished(text: str, names: RegistryNames) -> bool:
    return _is_whole(text, names) and not split_repository(text, names) and not has_template(text)


def _is_whole(text: str, names: RegistryNames) -> bool:
    return any(isinstance(found, Reference) and (found.tag or found.digest) for found in find_references(text, names))


def _may_have_host(text: str) -> bool:
    """Whether what comes first in it is not known: it may be a registry."""
    return has_template(text.partition('/')[0])


@dataclass(frozen=True)
class _Repository:
    """A text that names a repository, and the parts that stand beside it."""

    key: str
    value: Value
    parts: Parts
    scope: Scope


def _complete_enough(parts: Parts) -> bool:
    return 'repository' in parts or len(parts) > 1 and any(part in parts for part in _REPOSITORY_PARTS)


def _groups(scope: Scope) -> Iterator[dict[str, list[Value]]]:
    """The parts of each image by name. A prefix makes an image of its own: `sidecarImage`, `sidecarTag`."""
    if len(scope.entries) + len(scope.children) < 2 and 'repository' not in scope.entries:
        return iter(())
    groups: dict[str, dict[str, list[Value]]] = {}
    own = ((key, scope.entries[key]) for key in _keys_of_parts(tuple(scope.entries)))
    for key, values in (*own, *_given_in_children(scope)):
        group, part = group_and_part(key)
        groups.setdefault(group, {}).setdefault(part, []).extend(values)
    for parts in groups.values():
        hosts = [value for value in parts.get('repository', ()) if is_host(value.text)]
        if hosts and len(parts) > 1 and not parts.keys() & {'registry', 'chart'}:
            parts['registry'] = hosts
            parts['repository'] = [value for value in parts['repository'] if value not in hosts]
            if not parts['repository']:
                del parts['repository']
    common = groups.get('', {}).get('registry')
    for group, parts in groups.items():
        if group and common and 'registry' not in parts and len(parts) > 1:
            parts['registry'] = common
    return iter(groups.values())


@lru_cache(maxsize=10_000)
def _keys_of_parts(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if group_and_part(key)[1])


def _given_in_children(scope: Scope) -> Iterator[tuple[str, list[Value]]]:
    """`registry: {server: ...}`, and the parameters of templates: `tag: {value: v1}`."""
    for key in _keys_of_parts(tuple(scope.children)):
        part = group_and_part(key)[1]
        if key not in scope.entries:
            for child in scope.children[key][:1]:
                for name in (
                    'value',
                    'defaultValue',
                    'default',
                    *(('server', 'url', 'host') if part == 'registry' else ()),
                    *(('tag',) if part == 'tag' else ()),
                    *(('url',) if part == 'repository' and 'version' in scope.entries else ()),
                ):
                    if name in child.entries:
                        yield key, child.entries[name]


def _registries(parts: Parts, scope: Scope, names: RegistryNames) -> list[tuple[Filled, bool]]:
    """(registry, whether it stands beside the image) of each that may be meant."""
    own = [each for value in parts.get('registry', ()) for each in texts_of(value, scope) if each.text.strip()]
    if any(names.has(host_of(each.text)) for each in own):
        return [(each, True) for each in own]
    others = overriding(scope, names) if own else inherited(scope, names)
    return [*((each, True) for each in own), *((each, False) for each in others)]


def _images_of(
    repository: _Repository, registries: Sequence[tuple[Filled, bool]], names: RegistryNames, named: str
) -> Iterator[Made]:
    for text in texts_of(repository.value, repository.scope):
        whole = [found for found in find_references(text.text, names) if isinstance(found, Reference) and found.tag]
        if whole and not split_repository(text.text, names):
            yield from _with_digest(whole, repository, text)
            yield from _with_more_tags(whole, repository, text)
            continue
        for base, certain in _bases(text, repository, registries, names, named):
            yield from _with_tags(base, repository, names, certain)


def _with_digest(whole: Sequence[Reference], repository: _Repository, text: Filled) -> Iterator[Made]:
    """An image that is whole, with a digest that stands beside it."""
    for digest in _digests(repository.parts, repository.scope):
        for reference in whole:
            if reference.digest is None and reference.certain:
                yield Made(
                    reference_to(reference.repository, reference.tag, digest.text),
                    repository.value,
                    text.lines | digest.lines,
                )


def _with_more_tags(whole: Sequence[Reference], repository: _Repository, text: Filled) -> Iterator[Made]:
    """The other tags that Jib gives to what it builds: `to { image = "app:1", tags = ["latest"] }`."""
    scope = repository.scope
    if scope.key != 'to':
        return
    listed = [
        *scope.entries.get('tags', ()),
        *(v for each in scope.children.get('tags', ()) for v in each.entries.get('tag', ())),
    ]
    for tag in (each for value in listed for each in texts_of(value, scope)):
        for reference in whole:
            made = reference_to(reference.repository, tag.text, None, reference.certain)
            yield Made(made, repository.value, text.lines | tag.lines)


def _bases(
    text: Filled, repository: _Repository, registries: Sequence[tuple[Filled, bool]], names: RegistryNames, named: str
) -> Iterator[tuple[Filled, bool]]:
    """(registry and repository, whether the registry is said beside it) of an image."""
    key, parts = repository.key, repository.parts
    if split_repository(text.text, names) or names.has(text.text) and _chart(repository):
        yield _in_place(text, repository), True
    elif _may_have_host(text.text) and '/' in text.text:
        yield text, True
    elif not text.text.strip() or find_references(text.text, names) or has_host(text.text):
        return
    elif any(beside for _, beside in registries):
        text = _in_group(text, repository)
        for registry, is_beside in registries:
            if registry.text.lower() == names.login_server.partition('.')[0].lower():  # Azure Pipelines
                registry = replace(registry, text=names.login_server)
            yield _below(registry, text), is_beside
            yield from ((_below(registry, longer), False) for longer in _in_paths(text, repository))
    elif _may_be_in(text.text, repository) and not names.has(text.text):
        for registry, _ in registries:
            yield _below(registry, text), False
        may_be = named == ALONE or named == WITH_IMAGE and '/' in text.text
        if not registries and may_be and key == 'repository' and _tagged(parts, key):
            yield replace(text, text=f'{names.login_server}/{text.text}'), False


def _in_group(text: Filled, repository: _Repository) -> Filled:
    """The name of an image below its group, as Quarkus has it."""
    if repository.key not in ('name', 'image') or '/' in text.text or 'tag' not in repository.parts:
        return text
    scope = repository.scope
    places = [key.rpartition(part)[0] for part in ('name', 'image') for key in scope.entries if key.endswith(part)]
    groups = next(
        (values for key, values in scope.entries.items() if key in [f'{p}{g}' for p in places for g in _GROUPS]), []
    )
    for group in (each for value in groups for each in texts_of(value, scope) if each.text.strip('/')):
        return replace(group, text=f'{group.text.strip("/")}/').with_(text)
    return text


def _in_paths(text: Filled, repository: _Repository) -> Iterator[Filled]:
    """A name below a path under a key of its own, which only a template joins: `repository: claims`, `name: intake`."""
    key, parts, scope = repository.key, repository.parts, repository.scope
    if '/' in text.text or scope.listed or not _tagged(parts, 'repository'):
        return
    if key == 'repository':
        names = [each for value in parts.get('name', ()) for each in texts_of(value, scope)]
        pairs = [(text, name) for name in names if '/' not in name.text]
    else:
        values = [value for path in _PATHS if key == 'name' for value in scope.entries.get(path, ())]
        pairs = [(path, text) for value in values for path in texts_of(value, scope)]
    for path, name in pairs:
        if path.text != name.text and _PLAIN_NAME.match(path.text) and _PLAIN_NAME.match(name.text):
            yield _below(path, name)


def _below(registry: Filled, text: Filled) -> Filled:
    """A repository in a registry."""
    path = replace(text, text=f'/{text.text.lstrip("/")}')
    return replace(registry, text=registry.text.rstrip('/')).with_(path)


def _may_be_in(name: str, repository: _Repository) -> bool:
    """Whether a name, under this key, may be a repository of a registry that is said elsewhere."""
    key, parts = repository.key, repository.parts
    if key not in _INHERITING or not _PLAIN_NAME.match(name):
        return False
    if key == 'repository' and '/' in name and inherited_tags(repository.scope):
        return True
    return _tagged(parts, key) or key != 'name' and 'tag' in parts


def _tagged(parts: Parts, key: str) -> bool:
    wanted = (*_TAG_PARTS, *_DIGEST_PARTS, *(() if key == 'name' else ('version',)))
    return any(value.text.strip() for part in wanted for value in parts.get(part, ()))


def _in_place(text: Filled, repository: _Repository) -> Filled:
    """The repository; the name of a chart is added to the URL of the place where charts are."""
    chart = _chart(repository)
    if not chart or text.text.rstrip('/').endswith(f'/{chart.text}'):
        return text
    return replace(text, text=f'{text.text.rstrip("/")}/{chart.text}', lines=text.lines | {chart.place})


def _chart(repository: _Repository) -> Value | None:
    key, parts = repository.key, repository.parts
    if key not in _CHART_PLACES:
        return None
    if 'chart' in parts and key == 'repourl':  # Argo CD: `chart: team/app` stands below the place
        return next((value for value in parts['chart'] if value.text and not has_host(value.text)), None)
    if 'chart' in parts:
        return _short(parts['chart'])
    text = repository.value.text.lower()
    if key != 'repourl' and 'version' in parts and 'name' in parts and text.startswith('oci://'):
        return _short(parts['name'])
    if 'version' not in parts and 'tag' not in parts:
        return None
    images = parts.get('image', ())
    return _short(images) or next((value for value in images if ':' not in value.text and '/' not in text), None)


def _short(values: Sequence[Value]) -> Value | None:
    return next((value for value in values if value.text and '/' not in value.text and ':' not in value.text), None)


def _with_tags(base: Filled, repository: _Repository, names: RegistryNames, certain: bool) -> Iterator[Made]:
    parts, scope = repository.parts, repository.scope
    if repository.key == 'image' and any(key in parts for key in _CHART_PLACES):
        return
    tags: list[Filled] = _tags(parts, scope)
    digests: list[Filled] = _digests(parts, scope)
    fitting = [tag for tag in tags if belong(base, tag)]
    known = [digest for digest in digests if belong(base, digest)]
    if tags and not fitting or digests and not known:
        yield Made(Unresolved(base.text, 'no value for its tag belongs to it'), repository.value, base.lines)
        return
    for tag, digest in itertools.product(fitting or (None,), known or (None,)):
        if tag and digest and not belong(tag, digest):
            continue
        lines = base.lines.union(*(part.lines for part in (tag, digest) if part))
        name, in_tag = _without_digest(tag.text) if tag else (None, None)
        if not tag and not digest and repository.key in _PLAIN_KEYS and '/' not in repository.value.text:
            return
        for finding in _findings(base.text, name, digest.text if digest else in_tag, parts, names, certain):
            yield Made(finding, repository.value, lines)


def _findings(
    base: str, tag: str | None, digest: str | None, parts: Parts, names: RegistryNames, certain: bool
) -> Iterator[Finding]:
    repository = split_repository(base, names)
    if repository is None:  # its host, or a part of its name, is filled in
        written = f'{base}{":" + tag if tag else ""}{"@" + digest if digest else ""}'
        if tag or digest or _TAGGED.search(base):
            yield from find_references(written, names)
    elif tag and _ANY_VERSION.search(tag) and not digest:
        yield Unresolved(f'{base}:{tag}', 'it means any of several versions')
    elif tag or digest:
        yield reference_to(repository, tag, digest, certain)
    elif any(part in parts for part in _TAG_PARTS):
        yield Unresolved(base, 'its tag is left empty, and is filled in by another tool')
    elif 'registry' in parts:
        yield Unresolved(base, 'neither a tag nor a digest stands beside it')


def _without_digest(tag: str) -> tuple[str | None, str | None]:
    """A tag and a digest, of what stands in the place of a tag: `v1`, `v1@sha256:...` or `sha256:...`."""
    name, _, digest = tag.partition('@')
    if not digest and name.startswith('sha256:'):
        name, digest = '', name
    return name or None, digest or None


def _tags(parts: Parts, scope: Scope) -> list[Filled]:
    for key in (*_TAG_PARTS, *_VERSION_PARTS):
        found = [each for value in parts.get(key, ()) for each in texts_of(value, scope)]
        said = [
            Filled(text.strip().replace('+', '_'), each.lines, each.origin)
            for each in found
            for text in re.split('[,;]', each.text)
        ]
        said = [each for each in said if each.text.lower() not in _NO_TAG]
        if said:
            return said
    if 'repository' in parts and not any(part in parts for part in (*_DIGEST_PARTS, *_VERSION_PARTS)):
        return inherited_tags(scope)
    return []


def _digests(parts: Parts, scope: Scope) -> list[Filled]:
    for key in _DIGEST_PARTS:
        found = [each for value in parts.get(key, ()) for each in texts_of(value, scope)]
        said = [each for each in found if each.text.strip().lower() not in _NO_TAG]
        if said:
            texts = [(each, each.text.strip()) for each in said]
            return [
                Filled(f'sha256:{text}' if _HEX.match(text) else text, each.lines, each.origin) for each, text in texts
            ]
    return []
