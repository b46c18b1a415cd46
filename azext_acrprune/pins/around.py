"""What the scopes around an image say for it: the registry of all charts, or the tag that all images of a chart have.

Also how the keys of parts are spelled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

from .filling import filled, values_of
from .references import RegistryNames
from .scopes import DOCUMENTS, Filled, Scope, Value

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
_IMAGE_WORDS = ('image', 'container', 'docker', 'base', 'remote')
_NAME_AND_TAG = re.compile(r'[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)+:[A-Za-z0-9_][\w.-]{0,127}\Z')
_NAME_AND_PLACE = re.compile(r'[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)+:[\w.-]{0,100}\$[\w.{}()$-]{1,100}\Z')
_VERSION = re.compile(r'(?:(?P<digest>sha256:[0-9a-f]{64})|latest|(?=[\w.-]*\d)\w[\w.-]{0,127})\Z')
_HOST = re.compile(r'[\w-]+(?:\.[\w-]+)+(?::\d+)?/?\Z')
_GLOBAL = ('global', 'image', 'images', 'registry', 'docker', 'acr', 'request', 'container')
_TAGS = ('newtag', 'tag')


@lru_cache(maxsize=10_000)
def group_and_part(key: str) -> tuple[str, str]:
    if key == 'packageName':  # of sbt; that of SPDX is spelled otherwise
        return '', 'repository'
    match = _KEY.match(re.sub('[_.@-]', '', key.lower())) if len(key) <= 100 else None
    if not match:
        return '', ''
    group, part = match['group'], match['part']
    if key.startswith('_'):  # hidden names of CUE and Jsonnet are values for others, and no parts beside them
        group = f'_{group}'
    for word in ('with', *_IMAGE_WORDS):
        group = group.removesuffix(word) if group != word or word != 'new' else group
    return group, _SAME.get(part, part)


@lru_cache(maxsize=10_000)
def plain(key: str) -> str:
    """The letters and digits of a key, in lower case."""
    return ''.join(char for char in key.lower() if char.isalnum())


def texts_of(value: Value, scope: Scope) -> list[Filled]:
    return [Filled(each.text, each.lines | {value.place}, each.origin) for each in filled(value.text, scope)]


def has_host(text: str) -> bool:
    """Whether the first step of a name is the host of another registry."""
    head, slash, _ = text.partition('/')
    return '://' in text or bool(slash) and ('.' in head or ':' in head)


def is_host(text: str) -> bool:
    """Whether a text is nothing but the host of a registry."""
    return _HOST.match(text) is not None


def inherited(scope: Scope, names: RegistryNames) -> list[Filled]:
    """The registries that the scopes around name for all images."""
    return _nearest(scope, _registry_values, lambda host: names.has(host) or names.may_be(host))


def overriding(scope: Scope, names: RegistryNames) -> list[Filled]:
    """This registry where `global` names it for all images of a chart: Bitnami's take that, whatever stands beside."""

    def certain(here: Scope) -> Iterator[list[Value]]:
        return ([value for value in values if not value.weak] for values in global_registries(here))

    return _nearest(scope, certain, names.has)


def _nearest(
    scope: Scope, registries: Callable[[Scope], Iterator[list[Value]]], is_ours: Callable[[str], bool]
) -> list[Filled]:
    """What the innermost scope that names one of our hosts says of it."""
    for here in scope.around():
        for values in registries(here):
            ours = [each for value in values for each in texts_of(value, here) if is_ours(host_of(each.text))]
            if ours:
                return ours
    return []


def global_registries(scope: Scope) -> Iterator[list[Value]]:
    """The registries that `global` says in a scope, or in the values of other files that count in it."""
    for child in scope.children.get('global', ()):
        for place in (child, *(each for key in _GLOBAL for each in child.children.get(key, ())[:1])):
            yield from (values for key, values in place.entries.items() if group_and_part(key)[1] == 'registry')
    for other in (*(scope.others or ()), *(base.root for base in scope.bases if not base.keys and not base.chart)):
        yield from _from(other, global_registries(other))


def host_of(registry: str) -> str:
    """The host of a registry that may have a path: `myreg.azurecr.io/mirror`."""
    return registry.split('://')[-1].partition('/')[0] if '/' in registry else registry


def _registry_values(scope: Scope) -> Iterator[list[Value]]:
    places = [scope, *(child for key in _GLOBAL for child in scope.children.get(key, ())[:1])]
    places += [child for place in places[1:] for key in _GLOBAL for child in place.children.get(key, ())[:1]]
    for place in places:
        for key, values in place.entries.items():
            if group_and_part(key)[1] == 'registry':
                yield values
    for other in scope.others or ():
        for child in other.children.get('global', ()):
            yield from _from(other, _registry_values(child))
    for base in scope.bases:
        if not base.keys and not base.chart:
            yield from _from(base.root, _registry_values(base.root))


def _from(other: Scope, found: Iterator[list[Value]]) -> Iterator[list[Value]]:
    """Values with the file that they are from."""
    return ([replace(value, file=value.file or other.file) for value in values] for values in found)


def inherited_tags(scope: Scope) -> list[Filled]:
    """The tags that a chart gives to images which say none: `global: {image: {tag: 5}}`, or its `appVersion`."""
    here: Scope | None = scope.parent
    while here is not None:
        places = list(here.children.get('global', ()))
        places += [child for place in places for key in _GLOBAL for child in place.children.get(key, ())]
        values = [
            (value, place)
            for place in places
            for key, given in place.entries.items()
            if group_and_part(key)[1] in _TAGS
            for value in given
        ]
        found = [each for value, place in values for each in texts_of(value, place) if each.text.strip()]
        if found:
            return found
        here = here.parent
    return [] if _is_of_dependency(scope) else values_of('appVersion', scope)


def _is_of_dependency(scope: Scope) -> bool:
    """Whether values are those for another chart, which has a version of its own."""
    around = list(scope.around())
    charts = [chart for each in around for chart in (each, *(each.others or ())) if chart.items]
    dependencies = [item for chart in charts for item in (chart.items or {}).get('dependencies', ())]
    names = {value.text for item in dependencies for key in ('name', 'alias') for value in item.entries.get(key, ())}
    return any(each.key in names for each in around)


def with_version(repository: Value, said: str) -> Value:
    """`myreg.azurecr.io/app: 1.2`, as a key and its value: the repository with what looks like its tag or digest."""
    match = _VERSION.match(said)
    return (
        replace(repository, text=f'{repository.text}{"@" if match["digest"] else ":"}{said}') if match else repository
    )


def is_name_and_tag(text: str) -> bool:
    """Whether a text is an image without its host."""
    return _NAME_AND_TAG.match(text) is not None and not has_host(text)


def is_name_and_place(text: str) -> bool:
    """Whether a text is an image without its host, and a part of its tag is filled in."""
    return _NAME_AND_PLACE.match(text) is not None and not has_host(text)


def _is_document(scope: Scope) -> bool:
    """Whether a scope is a whole document of YAML or JSON: that of code has no line."""
    outside = scope.parent
    return bool(scope.line and outside and DOCUMENTS in outside.children)


def in_registry_around(text: str, scope: Scope, names: RegistryNames) -> Filled | None:
    """`team/app:5` where charts are told `global: {imageRegistry: myreg.azurecr.io}`, or within the braces of Jenkins'
    `withRegistry('https://myreg.azurecr.io') {`: it may well be there.
    """
    if not is_name_and_tag(text) and not is_name_and_place(text):
        return None
    for here in scope.around():
        around = [Filled(here.key, frozenset((here.line,)))] if '://' in here.key or '$' in here.key else []
        is_document = here is not scope and _is_document(here) and 'kind' not in here.entries
        for child in (*here.children.get('global', ()), *((here,) if is_document else ())):
            around += [
                Filled(value.text, frozenset((value.line,)))
                for key, values in child.entries.items()
                if group_and_part(key)[1] == 'registry' and (child is not here or not group_and_part(key)[0])
                for value in values
            ]
        for place in around:
            for each in filled(place.text, here.parent):
                if names.has(host_of(each.text)):
                    path = each.text.split('://')[-1].partition('/')[2].strip('/')
                    return Filled('/'.join(filter(None, (names.login_server, path, text))), place.lines)
    return None
