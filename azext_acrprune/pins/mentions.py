"""Names of the registry in a file, and which of them nobody has to hear of: those that are explained by what stands
around them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from .around import group_and_part, has_host, plain
from .parts import ALONE, WITH_IMAGE
from .references import RegistryNames, mentions
from .scopes import Place, Scope, Value

_NO_PINS = frozenset(
    [
        'auths',
        'imagepullsecrets',
        'hostrules',
        'insecureregistries',
        'registrymirrors',
        'registryaliases',
        'packagerules',
        'repos',
        'imagereferences',
        'allowedregistries',
        'mirrors',
        'matchpackagenames',
        'matchhost',
        'glob',
        'verifyimages',
        'match',
        'trustedregistries',
        'dockerconfigjson',
        'imagelist',
        'registryscopes',
        'assigndomain',
        'unqualifiedsearchregistries',
        'documentnamespace',
        'record',
        'records',
        'cname',
        'cnamerecord',
    ]
)
"""Keys below which registries and repositories are allowed, mirrored or signed in to, and no image is in use."""

_SIGN_IN = frozenset(
    [
        'username',
        'password',
        'passwordsecretref',
        'identity',
        'credentials',
        'auth',
        'usernamesecretref',
        'email',
        'registries',
        'imageregistrycredentials',
        'containerregistries',
        'registrycredentials',
        'dockerregistryserverurl',
        'registryserver',
        'acrserver',
        'user',
        'userassignedidentityid',
        'imageregistrycredential',
    ]
)
_WATCHING = frozenset(('imagerepository', 'imagepolicy', 'imageupdateautomation'))
"""Kinds of objects that look at a repository and run nothing of it."""

_NAME = re.compile(r'[a-z0-9][a-z0-9_-]*(?:/[a-z0-9][a-z0-9_-]*)+\Z')
_PROSE = frozenset(('message', 'description', 'summary', 'title', 'note', 'notes', 'comment', 'reason', 'help'))
_LABELS = ('tags', 'labels', 'annotations')
_LEVELS = 8
_SIGN_IN_LEVELS = 2
_SHOWN = 100
_MOST_PLACES = 50
"""How many places of one text are noted where scopes may not be kept: a list of pods has it ten thousand times."""

_ALONE = re.compile(r'[^\s/]+/?\Z')
_ENDS_WITH_URL = re.compile(r'\bhttps?://[^\s/]+/?\Z')
IMAGE_PARTS = ('image', 'repository', 'repo', 'newname')
_DESCRIBING = (*IMAGE_PARTS, 'tag', 'newtag', 'digest', 'chart')


@lru_cache(maxsize=10_000)
def is_allowing(key: str) -> bool:
    """Whether what stands under a key is allowed, mirrored or watched, and not used."""
    name = plain(key)
    return name in _NO_PINS or 'mirror' in name or 'allow' in name or name.endswith('imagelist')


def is_watched(scope: Scope) -> bool:
    """Whether a document is about an object that only looks at a repository."""
    kinds = (value.text.lower() for each in scope.around() for value in each.entries.get('kind', ()))
    return any(kind in _WATCHING for kind in kinds)


def names_without_host(documents: Iterable[Scope], told: Container[Place]) -> Iterator[Value]:
    """The names that are used as those of images, say no registry, and of which nothing is `told`: in documents that
    name the registry alone.
    """
    for scope in (each for document in documents for each in document.below(items=True)):
        hosted = any(group_and_part(key)[1] == 'registry' for key in scope.entries)
        listed = plain(scope.key) == 'images'
        for key, values in scope.entries.items() if not hosted or listed else ():
            if listed or group_and_part(key)[1] in IMAGE_PARTS and key != 'image':  # which runs what is elsewhere, too
                yield from (value for value in values if _NAME.match(value.text) and value.place not in told)


@dataclass(frozen=True, slots=True)
class _Mention:
    """A text that names the registry, where it stands, and whether that is where one signs in, if that is known."""

    text: str
    line: int
    scope: Scope | None
    key: str
    signs_in: bool = False


class Mentions:
    """Takes all texts that name the registry; `unexplained` are those with which no image could be read."""

    def __init__(self, names: RegistryNames) -> None:
        self._names = names
        self._noted: list[_Mention] = []
        self._often: Counter[str] = Counter()
        self._named = ''
        self._hosted = False

    @property
    def named(self) -> str:
        """How the registry is named, for parts of images that do not say where they are."""
        return '' if self._hosted and self._named == WITH_IMAGE else self._named

    def note(self, text: str, line: int, scope: Scope | None, key: str, may_keep: bool) -> None:
        """Note a text if it names the registry; where scopes may not be kept, what they say now is all that counts."""
        if self._often.get(text, 0) > _MOST_PLACES or not mentions(text, self._names):
            return
        if not may_keep:
            self._often[text] += 1
        alone = '/' not in text.split('://')[-1].rstrip('/')
        self._named = ALONE if alone or self._named == ALONE else WITH_IMAGE
        self._hosted = self._hosted or not alone and key.lower().endswith('repository')
        in_prose = alone and ' ' in text.strip() and plain(key) in _PROSE
        if not in_prose and not any(is_allowing(each) for each in (key, *_keys(scope))):
            signs_in = not may_keep and _signs_in(scope, key)
            self._noted.append(_Mention(text.strip()[:_SHOWN], line, scope if may_keep else None, key, signs_in))

    def unexplained(self, told: Container[Place], any_pins: bool) -> dict[int, str]:
        """{line: text} of the names of the registry that are not at a line of which something was `told`."""
        return {
            mention.line: mention.text
            for mention in self._noted
            if mention.line not in told and not self._is_explained(mention, told, any_pins)
        }

    def _is_explained(self, mention: _Mention, told: Container[Place], any_pins: bool) -> bool:
        """Whether somebody signs in there, or all images are known that may be meant."""
        scope, text = mention.scope, mention.text
        is_url = _ENDS_WITH_URL.search(text) is not None
        pushes = plain(mention.key) == 'loginserver' and scope is not None and not _has_parts(scope)
        if mention.signs_in or is_url or pushes or scope and _signs_in(scope, mention.key):
            return any_pins or scope is not None and not _describes_images(_outermost(scope))
        is_label = scope is not None and scope.key in _LABELS or plain(mention.key) == 'dockerrepository'  # of sbt
        if is_label and _ALONE.match(text):
            return any_pins
        is_registry = group_and_part(mention.key)[1] == 'registry' and _ALONE.match(text)
        return bool(scope and is_registry and _all_told(scope, told))


def _keys(scope: Scope | None) -> Iterator[str]:
    for _ in range(_LEVELS):
        if scope is None:
            return
        yield scope.key
        scope = scope.parent


def _signs_in(scope: Scope | None, key: str) -> bool:
    """Whether the name of the registry stands beside the name or the secret of a user, or where these are listed."""
    here, words = scope, [key]
    for level in range(_SIGN_IN_LEVELS):
        if here is None:
            break
        words += [*here.entries, here.key]
        if not level:
            words += [value.text for value in here.entries.get('name', ())]  # `{name: ..., value: ...}`
        here = here.parent
    return any(plain(word) in _SIGN_IN for word in words)


def _outermost(scope: Scope) -> Scope:
    """The scope of the whole document."""
    while scope.parent is not None and (scope.parent.entries or scope.parent.children or scope.parent.items):
        scope = scope.parent
    return scope


def _describes_images(scope: Scope) -> bool:
    """Whether anything in a document is spelled like an image or a part of one."""
    return any(_has_parts(each) for each in scope.below(items=True))


def _has_parts(scope: Scope) -> bool:
    return any(group_and_part(key)[1] in _DESCRIBING for key in (*scope.entries, *scope.children))


def _all_told(scope: Scope, told: Container[Place]) -> bool:
    """Whether there are images below a scope, and each of them is told or is in another registry."""
    found = False
    for each in scope.below(items=True):
        for key, values in each.entries.items():
            for value in values if group_and_part(key)[1] in IMAGE_PARTS else ():
                if value.line in told:
                    found = True
                elif not has_host(value.text):
                    return False
    return found
