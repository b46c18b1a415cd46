"""Live systems: how a user names them, and which images the things in them use."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..spelling import printable
from .pinned import NOT_LISTED, PINS_NOT_READ, Found, Pin, Problem, merged
from .read import MAX_FILE_BYTES, decoded, read_document
from .references import RegistryNames

KUBECTL = 'kubectl'
AKS = 'aks'
CONTAINER_APPS = 'containerapps'
WEB_APPS = 'webapps'
FUNCTION_APPS = 'functionapps'
ACR_TASKS = 'acr-tasks'
SUBSCRIPTION = 'subscription'

_MAY_HAVE_NAME = (KUBECTL, AKS, CONTAINER_APPS)
_KINDS = (AKS, KUBECTL, CONTAINER_APPS, WEB_APPS, FUNCTION_APPS, ACR_TASKS, SUBSCRIPTION)
_OWN_REGISTRY = re.compile(r'\{\{\s*\.Run\.Registry\s*\}\}|\$Registry\b')
_OWN_IMAGE = re.compile(
    r'(?:\{\{\s*\.Run\.Registry\s*\}\}|\$Registry)/[\w./-]{1,255}:(?:\{\{\s*\.Run\.ID\s*\}\}|\$ID)(?![\w.-])'
)
"""What a run of a task makes for itself, under its own number."""


@dataclass(frozen=True)
class System:
    """A live system: what `kind` it is, and the name of the one that is meant, of all where it is None."""

    kind: str
    name: str | None = None
    resource_group: str | None = None


@dataclass(frozen=True)
class Thing:
    """Something in a live system that may use images: where it is, and the documents (JSON-ready) that describe it.

    `texts` are documents of YAML inside of it. `unseen` says what of it nobody let us look at, `unread` what of it
    should have been read and could not be.
    """

    origin: str
    documents: tuple[Any, ...]
    texts: tuple[str, ...] = ()
    unseen: str | None = None
    unread: str | None = None


def not_listed(origin: str, what: str) -> Thing:
    """A thing without documents, for something that this identity may not list."""
    return Thing(origin, (), unseen=f'{what} may not be listed: images that only these name are not known')


def parse_system(text: str) -> System:
    """`kind`, `kind:NAME`, or `aks:NAME/RESOURCE_GROUP`. Raises ValueError."""
    kind, colon, name = text.partition(':')
    if kind not in _KINDS:
        raise ValueError(f"'{text}' is none of {', '.join(_KINDS)}")
    if colon and (kind not in _MAY_HAVE_NAME or not name):
        raise ValueError(f"'{text}' names nothing" if not name else f"'{kind}' takes no name")
    if kind != AKS:
        return System(kind, name or None)
    cluster, slash, group = name.partition('/')
    if not cluster or slash and not group or '/' in group:
        raise ValueError(f"'{text}' is not aks:NAME or aks:NAME/RESOURCE_GROUP")
    return System(kind, cluster, group or None)


def things_of_cluster(origin: str, answer: Any) -> list[Thing]:
    """The objects that kubectl lists. Raises ValueError when this is no list, or one of nothing.

    Every cluster runs something of its own: one that has nothing at all was not seen.
    """
    items = answer.get('items') if isinstance(answer, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError('its answer is not a list of objects')
    if not items:
        raise ValueError('its answer has no objects at all, and every cluster runs something')
    return [_thing_of(f'{origin}: {_name_of(item)}', item) for item in items]


def _thing_of(origin: str, item: dict[str, Any]) -> Thing:
    """An object; of a release of Helm, the manifests that it made, also of its hooks, and the values given to it."""
    in_secret = item.get('type') == 'helm.sh/release.v1'
    in_settings = _part(_part(item, 'metadata'), 'labels').get('owner') == 'helm'  # HELM_DRIVER=configmap
    packed: Any = _part(item, 'data').get('release')
    if not in_secret and not (in_settings and packed):
        return Thing(origin, (item,))
    try:
        once = base64.b64decode(packed) if in_secret else packed  # Kubernetes has packed it once more
        release = json.loads(_unzipped(base64.b64decode(once)))
        manifests = [release.get('manifest'), *(hook.get('manifest') for hook in release.get('hooks') or ())]
        return Thing(origin, (_part(release, 'config'),), tuple(str(each) for each in manifests if each))
    except (TypeError, ValueError, AttributeError, zlib.error, RecursionError):
        return Thing(origin, (), unread='this release of Helm cannot be read')


def _unzipped(data: bytes) -> bytes:
    """What was packed with gzip, if it was. Raises ValueError where that has no end."""
    if data[:2] != b'\x1f\x8b':
        return data
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    found = stream.decompress(data, MAX_FILE_BYTES)
    if not stream.eof:
        raise ValueError('it is cut off, or too large')
    return found


def things_of_task(origin: str, task: dict[str, Any], login_server: str) -> Thing:
    """A task of a registry: its step, and the base images that it was seen to use."""
    step = _part(_part(task, 'properties'), 'step')
    bases = step.get('baseImageDependencies')
    images = (
        [
            f'{each.get("registry")}/{each.get("repository")}{mark}{each.get(part)}'
            for each in bases
            if isinstance(each, dict)
            for part, mark in (('digest', '@'), ('tag', ':'))
            if each.get(part)
        ]
        if isinstance(bases, list)
        else []
    )
    text = _decoded(step.get('encodedTaskContent'))
    values = _decoded(step.get('encodedValuesContent'))

    def in_registry(text: str) -> str:
        return _OWN_REGISTRY.sub(login_server, _OWN_IMAGE.sub('', text))

    step = json.loads(in_registry(json.dumps(step)))
    return Thing(origin, (step, {'images': images}), tuple(in_registry(each) for each in (text, values) if each))


def thing_of_site(origin: str, configurations: Iterable[dict[str, Any]]) -> Thing:
    """A web app or function app: its configurations. `linuxFxVersion` is `DOCKER|` and an image, or `COMPOSE|` and a
    whole file in Base64.
    """
    documents, texts = [], []
    for document in configurations:
        properties = dict(_part(document, 'properties'))
        for key in ('linuxFxVersion', 'windowsFxVersion'):
            kind, _, value = str(properties.get(key, '')).partition('|')
            if kind.upper() == 'DOCKER':
                properties[key] = {'image': value}
            elif kind.upper() in ('COMPOSE', 'KUBE'):
                texts.append(_decoded(value))
        documents.append({**document, 'properties': properties})
    return Thing(origin, tuple(documents), tuple(filter(None, texts)))


def thing_of_pool(origin: str, properties: Any) -> Thing:
    """A pool of Azure Batch; what its nodes fetch and run without a tag is `latest`."""
    return Thing(origin, (_with_names(properties, {'containerImageNames': 'images', 'imageName': 'image'}),))


def _with_names(document: Any, names: Mapping[str, str]) -> Any:
    """The same document with other names for some of its keys."""
    if isinstance(document, list):
        return [_with_names(each, names) for each in document]
    if isinstance(document, dict):
        return {names.get(key, key): _with_names(each, names) for key, each in document.items()}
    return document


def found_in_things(things: Iterable[Thing], names: RegistryNames) -> Found:
    """The images that things use. A pin says where its thing is; a text that cannot be read is a problem."""
    return merged(found for thing in things for found in _found_in(thing, names))


def _found_in(thing: Thing, names: RegistryNames) -> Iterator[Found]:
    origin = printable(thing.origin)
    if thing.unseen:
        yield Found(problems=(Problem(printable(thing.unseen), origin, code=NOT_LISTED),))
    if thing.unread:
        yield Found(problems=(Problem(printable(thing.unread), origin, code=PINS_NOT_READ),))
    # One text a line: what is told of a line explains nothing at another one.
    texts = [(json.dumps(document, indent=0), True) for document in thing.documents]
    texts += [(text, False) for text in thing.texts]
    for text, is_json in texts:
        found = read_document(text, origin, names, is_json)
        seen = (each for each in found.problems if not each.repository)  # what runs of what is watched is seen here
        problems = tuple(Problem(each.message, origin, code=each.code) for each in seen)
        yield Found(tuple(Pin(pin.reference, origin) for pin in found.pins), problems)


def _name_of(item: dict[str, Any]) -> str:
    metadata = _part(item, 'metadata')
    namespace = f'{metadata["namespace"]}/' if metadata.get('namespace') else ''
    return f'{item.get("kind", "object")} {namespace}{metadata.get("name", "without a name")}'


def _part(document: dict[str, Any], key: str) -> dict[str, Any]:
    part = document.get(key)
    return part if isinstance(part, dict) else {}


def _decoded(value: Any) -> str:
    """What a text in Base64 says; one that is not in Base64 says what it says."""
    if not isinstance(value, str):
        return ''
    try:
        data = base64.b64decode(''.join(value.split()), validate=True)
    except ValueError:
        return value
    return decoded(data) or data.decode('latin-1')
