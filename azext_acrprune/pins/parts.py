"""Images whose parts stand under keys of their own, as in the values of Helm, in Kustomize and in SBOM documents."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from .filling import belong, filled, has_holes
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
from .scopes import Filled, Scope, Value

_KEY = re.compile(
    r'(?P<group>.*?)(?P<part>registryserverurl|registryloginserver|registryserver|registryurl|registryhost|registryname'
    r'|registry|loginserver|serverurl|server|hostname|host|hub'
    r'|repositoryname|repositoryuri|repository|repourl|repo|newname|imagename|imageuri|imageandtag|image|name|url|uri'
    r'|id|path|package|reference|finalimagetag|remotetags|newtag|tagname|tags|tag'
    r'|targetrevision|semver|versioninfo|version|revision|chart|imagedigest|digest|sha256|sha|checksum|hash)\Z'
)
_SAME = {
    **dict.fromkeys(
        ('registryserverurl', 'registryloginserver', 'registryserver', 'registryurl', 'registryhost', 'registryname')
        + ('loginserver', 'serverurl', 'server', 'hostname', 'host', 'hub'),
        'registry',
    ),
    **dict.fromkeys(('repositoryname', 'repositoryuri'), 'repository'),
    **dict.fromkeys(('imageuri', 'imageandtag'), 'image'),
    **dict.fromkeys(('finalimagetag', 'remotetags', 'tagname', 'tags'), 'tag'),
    **dict.fromkeys(('imagedigest', 'checksum', 'hash'), 'digest'),
    'imagename': 'image',
    'repourl': 'repourl',
}
_REPOSITORY_PARTS = (
    'newname', 'repository', 'repourl', 'repo', 'image', 'name', 'url', 'uri', 'package', 'reference', 'id', 'path',
    'chart',
)  # fmt: skip
_INHERITING = ('repository', 'repo', 'image', 'name')
_TAG_PARTS = ('newtag', 'tag', 'targetrevision', 'semver')
_VERSION_PARTS = ('version', 'versioninfo', 'revision')
_DIGEST_PARTS = ('digest', 'sha256', 'sha')
_CHART_PLACES = ('repourl', 'repository', 'repo')
_IMAGE_WORDS = ('image', 'container', 'docker', 'base', 'remote')
_HEX = re.compile(r'[0-9a-fA-F]{64}\Z')
_TAGGED = re.compile(r'[:@][^/]+\Z')
_ANY_VERSION = re.compile(r'(?:^|\.)[xX*](?:\.|\Z)')
_PLAIN_NAME = re.compile(r'[a-z0-9][a-z0-9._/-]{0,255}\Z')
_NAME_AND_TAG = re.compile(r'[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)+:[A-Za-z0-9_][\w.-]{0,127}\Z')
_GLOBAL = ('global', 'image', 'images', 'registry', 'docker', 'acr', 'request', 'container')
_NO_TAG = frozenset(('', 'null', '~', 'none', '<none>', 'nil', 'undefined'))

Parts = Mapping[str, list[Value]]


@dataclass(frozen=True, slots=True)
class Made:
    """An image that parts make: where its repository stands, and the lines of all of its parts."""

    finding: Finding
    repository: Value
    lines: frozenset[int]


def may_be_parts(scope: Scope) -> bool:
    """Whether the texts of a scope may make an image together, or with what stands around them."""
    return any(_complete_enough(parts) for parts in _groups(scope))


def must_wait(scope: Scope, names: RegistryNames) -> bool:
    """Whether other parts of the document have to be known first."""
    for parts in _groups(scope):
        if not _complete_enough(parts):
            continue
        if any(has_holes(value.text) for values in parts.values() for value in values):
            return True
        if 'registry' in parts or not any(part in parts for part in (*_TAG_PARTS, *_VERSION_PARTS, *_DIGEST_PARTS)):
            continue
        if any(not split_repository(value.text, names) for part in _INHERITING for value in parts.get(part, ())):
            return True
    return False


def images(scope: Scope, names: RegistryNames, names_registry: bool) -> Iterator[Made]:
    """Each image that the texts of one scope make; `names_registry` tells whether its document names the registry."""
    for parts in _groups(scope):
        if not _complete_enough(parts):
            continue
        plain = False
        for key in _REPOSITORY_PARTS:
            if key == 'name' and ('newname' in parts or 'repourl' in parts):
                continue
            for value in parts.get(key, ()):
                repository = _Repository(key, value, parts, scope)
                if has_template(value.text) or find_references(value.text, names) or _has_host(value.text):
                    yield from _images_of(repository, [], names, False)
                elif not plain:  # what stands behind a registry is its repository, and no other name beside it
                    yield from _images_of(repository, _registries(parts, scope, names), names, names_registry)
            plain = plain or key in parts and not any(_has_host(value.text) for value in parts[key])


@dataclass(frozen=True)
class _Repository:
    """A text that names a repository, and the parts that stand beside it."""

    key: str
    value: Value
    parts: Parts
    scope: Scope


def _complete_enough(parts: Parts) -> bool:
    return len(parts) > 1 and any(part in parts for part in _REPOSITORY_PARTS)


def _groups(scope: Scope) -> Iterator[dict[str, list[Value]]]:
    """The parts of each image by name. A prefix makes an image of its own: `sidecarImage`, `sidecarTag`."""
    if len(scope.entries) + len(scope.children) < 2:
        return iter(())
    groups: dict[str, dict[str, list[Value]]] = {}
    for key, values in (*scope.entries.items(), *_given_in_children(scope)):
        group, part = group_and_part(key)
        if part:
            groups.setdefault(group, {}).setdefault(part, []).extend(values)
    common = groups.get('', {}).get('registry')
    for group, parts in groups.items():
        if group and common and 'registry' not in parts and len(parts) > 1:
            parts['registry'] = common
    return iter(groups.values())


def _given_in_children(scope: Scope) -> Iterator[tuple[str, list[Value]]]:
    """`registry: {server: ...}`, and the parameters of templates: `tag: {value: v1}`."""
    for key, children in scope.children.items():
        part = group_and_part(key)[1]
        if part and key not in scope.entries:
            for child in children[:1]:
                for name in (
                    'value',
                    'defaultValue',
                    'default',
                    *(('server', 'url', 'host') if part == 'registry' else ()),
                ):
                    if name in child.entries:
                        yield key, child.entries[name]


@lru_cache(maxsize=10_000)
def group_and_part(key: str) -> tuple[str, str]:
    match = _KEY.match(re.sub('[_.@-]', '', key.lower())) if len(key) <= 100 else None
    if not match:
        return '', ''
    group, part = match['group'], match['part']
    if key.startswith('_'):  # hidden names of CUE and Jsonnet are values for others, and no parts beside them
        group = f'_{group}'
    for word in ('with', *_IMAGE_WORDS):
        group = group.removesuffix(word) if group != word or word != 'new' else group
    return group, _SAME.get(part, part)


def _registries(parts: Parts, scope: Scope, names: RegistryNames) -> list[tuple[Filled, bool]]:
    """(registry, whether it stands beside the image) of each that may be meant."""
    own = parts.get('registry')
    if own:
        return [(each, True) for value in own for each in _texts(value, scope) if each.text.strip()]
    return [(each, False) for each in _inherited(scope, names)]


def _inherited(scope: Scope, names: RegistryNames) -> list[Filled]:
    """The registries that the scopes around name for all images."""
    here: Scope | None = scope
    while here is not None:
        for values in _registry_values(here):
            found = [each for value in values for each in _texts(value, here)]
            ours = [each for each in found if names.has(each.text) or names.may_be(each.text)]
            if ours:
                return ours
        here = here.parent
    return []


def _registry_values(scope: Scope) -> Iterator[list[Value]]:
    places = [scope, *(child for key in _GLOBAL for child in scope.children.get(key, ())[:1])]
    places += [child for place in places[1:] for key in _GLOBAL for child in place.children.get(key, ())[:1]]
    for place in places:
        for key, values in place.entries.items():
            if group_and_part(key)[1] == 'registry':
                yield values


def is_name_and_tag(text: str) -> bool:
    """Whether a text is an image without its host."""
    return _NAME_AND_TAG.match(text) is not None and not _has_host(text)


def in_registry_around(text: str, scope: Scope, names: RegistryNames) -> Filled | None:
    """`team/app:5` where charts are told `global: {imageRegistry: myreg.azurecr.io}`, or within the braces of Jenkins'
    `withRegistry('https://myreg.azurecr.io') {`: it may well be there.
    """
    if not is_name_and_tag(text):
        return None
    here: Scope | None = scope
    while here is not None:
        around = [Filled(here.key, frozenset((here.line,)))] if '://' in here.key or '$' in here.key else []
        for child in here.children.get('global', ()):
            around += [
                Filled(value.text, frozenset((value.line,)))
                for key, values in child.entries.items()
                if group_and_part(key)[1] == 'registry'
                for value in values
            ]
        for place in around:
            if any(names.has(each.text) for each in filled(place.text, here.parent)):
                return Filled(f'{names.login_server}/{text}', place.lines)
        here = here.parent
    return None


def _texts(value: Value, scope: Scope) -> list[Filled]:
    return [Filled(each.text, each.lines | {value.line}, each.origin) for each in filled(value.text, scope)]


def _images_of(
    repository: _Repository, registries: Sequence[tuple[Filled, bool]], names: RegistryNames, names_registry: bool
) -> Iterator[Made]:
    for text in _texts(repository.value, repository.scope):
        whole = [found for found in find_references(text.text, names) if isinstance(found, Reference) and found.tag]
        if whole and not split_repository(text.text, names):
            yield from _with_digest(whole, repository, text)
            continue
        for base, certain in _bases(text, repository, registries, names, names_registry):
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


def _bases(
    text: Filled,
    repository: _Repository,
    registries: Sequence[tuple[Filled, bool]],
    names: RegistryNames,
    names_registry: bool,
) -> Iterator[tuple[Filled, bool]]:
    """(registry and repository, whether the registry is said beside it) of an image."""
    key, parts = repository.key, repository.parts
    if split_repository(text.text, names) or names.has(text.text) and _chart(repository):
        yield _in_place(text, repository), True
    elif has_template(text.text) and '/' in text.text:
        yield text, True
    elif not text.text.strip() or find_references(text.text, names) or _has_host(text.text):
        return
    elif any(beside for _, beside in registries):
        for registry, _ in registries:
            if registry.text.lower() == names.login_server.partition('.')[0].lower():  # Azure Pipelines
                registry = replace(registry, text=names.login_server)
            yield _below(registry, text), True
    elif _may_be_in(text.text, key, parts) and not names.has(text.text):
        for registry, _ in registries:
            yield _below(registry, text), False
        if not registries and names_registry and key == 'repository' and _tagged(parts, key):
            yield replace(text, text=f'{names.login_server}/{text.text}'), False


def _below(registry: Filled, text: Filled) -> Filled:
    """A repository in a registry."""
    path = replace(text, text=f'/{text.text.lstrip("/")}')
    return replace(registry, text=registry.text.rstrip('/')).with_(path)


def _may_be_in(name: str, key: str, parts: Parts) -> bool:
    """Whether a name, under this key, may be a repository of a registry that is said elsewhere."""
    if key not in _INHERITING or not _PLAIN_NAME.match(name):
        return False
    return _tagged(parts, key) or key != 'name' and 'tag' in parts


def _tagged(parts: Parts, key: str) -> bool:
    wanted = (*_TAG_PARTS, *_DIGEST_PARTS, *(() if key == 'name' else ('version',)))
    return any(value.text.strip() for part in wanted for value in parts.get(part, ()))


def _has_host(text: str) -> bool:
    """Whether the first step of a name is the host of another registry."""
    head, slash, _ = text.partition('/')
    return '://' in text or bool(slash) and ('.' in head or ':' in head)


def _in_place(text: Filled, repository: _Repository) -> Filled:
    """The repository; the name of a chart is added to the URL of the place where charts are."""
    chart = _chart(repository)
    if not chart or text.text.rstrip('/').endswith(f'/{chart.text}'):
        return text
    return replace(text, text=f'{text.text.rstrip("/")}/{chart.text}', lines=text.lines | {chart.line})


def _chart(repository: _Repository) -> Value | None:
    key, parts = repository.key, repository.parts
    if key not in _CHART_PLACES:
        return None
    if 'chart' in parts and key == 'repourl':  # Argo CD: `chart: team/app` stands below the place
        return next((value for value in parts['chart'] if value.text and not _has_host(value.text)), None)
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
    for tag, digest in itertools.product(tags or (None,), digests or (None,)):
        if tag and not belong(base, tag) or digest and not belong(base, digest):
            continue
        lines = base.lines.union(*(part.lines for part in (tag, digest) if part))
        name, in_tag = _without_digest(tag.text) if tag else (None, None)
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
        found = [each for value in parts.get(key, ()) for each in _texts(value, scope)]
        said = [
            Filled(text.strip().replace('+', '_'), each.lines, each.origin)
            for each in found
            for text in each.text.split(',')
        ]
        said = [each for each in said if each.text.lower() not in _NO_TAG]
        if said:
            return said
    return []


def _digests(parts: Parts, scope: Scope) -> list[Filled]:
    for key in _DIGEST_PARTS:
        found = [each for value in parts.get(key, ()) for each in _texts(value, scope)]
        said = [each for each in found if each.text.strip().lower() not in _NO_TAG]
        if said:
            texts = [(each, each.text.strip()) for each in said]
            return [
                Filled(f'sha256:{text}' if _HEX.match(text) else text, each.lines, each.origin) for each, text in texts
            ]
    return []
