"""Image references to one registry, in any text.

Only references to this registry count, however it is spelled. Whatever may be meant is taken for meant: a pin too many
keeps an image, one too few deletes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from re import Pattern
from typing import Any
from urllib.parse import parse_qs, unquote

LATEST = 'latest'
"""What every runtime pulls when neither a tag nor a digest is said."""

# Places where another tool puts a value in: Helm, GitHub, Bicep, Terraform, Compose, Azure Pipelines, shells,
# format strings, documentation. None of these can take more than one pass over a text.
TEMPLATE = (
    r'(?:\$\{\{[^{}\n]{0,300}\}\}|\{\{[^{}\n]{0,300}\}\}|\$?\$\{[^{}\n]{0,300}\}|\$\([^()\n]{0,300}\)'
    r'|\$\[\[[^\[\]\n]{0,300}\]\]|\$\[[^\[\]\n]{0,300}\]|\$[A-Za-z_]\w{0,100}|#\{[^{}\n]{0,300}\}#?|\{\w[\w.-]{0,100}\}'
    r'|<<[ ]?[\w.-]{1,100}[ ]?>>|<[A-Za-z_][\w .-]{0,100}>|%\w[\w.]{0,100}%'
    r'|%\d|%\(\w{1,100}\)s|%[sv]|\(\([\w.-]{1,100}\)\)'
    r'|\\\([\w.#]{1,100}\))'
)
_BEFORE = r'(?:(?<![A-Za-z0-9.-])|(?<=\\[nrt]))'
_PORT = r'\.?(?::\d{1,5})?'
# Bounded, and a character at a time: nothing to go back over, however long and hostile a line is.
_PATH = rf'(?P<path>(?:[A-Za-z0-9._/-]|{TEMPLATE}){{1,600}})'
_TAG = rf'(?::(?P<tag>(?:[A-Za-z0-9._-]|{TEMPLATE}){{1,300}}))?'
_DIGEST = rf'(?:@(?P<digest>(?:[A-Za-z0-9:_-]|{TEMPLATE}){{0,300}}))?'
_VARIABLE_HOST = rf'[A-Za-z0-9.-]{{0,100}}(?:{TEMPLATE}[A-Za-z0-9.-]{{0,100}}){{1,2}}'
_PURL = re.compile(r'pkg:(?:oci|docker)/([^\s"\'<>,\\]{1,1000})', re.IGNORECASE)

_REPOSITORY = re.compile(r'[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*\Z')
_GOOD_TAG = re.compile(r'[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z')
_GOOD_DIGEST = re.compile(r'(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})\Z')
_PLACEHOLDER = re.compile(r'__\w+__\Z')
_API = re.compile(r'v2/(.+)/manifests/([^/]+)\Z')
_TEMPLATE = re.compile(TEMPLATE)
_SHORT = 500
_OWN_RUN = re.compile(r'\{\{-? *\.?Run\.ID *-?\}\}\Z')
_PAGE = r'\.(?:png|svg|jpe?g|gif|ico|webp|css|html?|pdf|woff2?)'
_OF_PAGES = re.compile(rf'{_PAGE}\Z', re.IGNORECASE)
_PAGE_FOLLOWS = re.compile(rf'/?[\w./-]{{1,300}}{_PAGE}(?![\w.:@/-])', re.IGNORECASE)
_SENTENCE_ENDS = re.compile(r'/?\.(?:\s|\Z)')
_GOES_ON = re.compile(r'[%$!<{]')
_EMPTY_TAG_FOLLOWS = re.compile(r':(?=["\']?(?:\s|\Z))')
_PATTERN_FOLLOWS = re.compile(r'/?:?[*^|\[(?]|:[~^]')
_MAY_FOLLOW = ('|', '?', '(', '[')
"""What may stand right behind an image, and makes a pattern of a name that is not whole."""

_BAD_TAG_FOLLOWS = re.compile(r':[^\s/\\"\',:;)}\]]')
_STANDS_FOR = re.compile(r'(?:\A|/)[A-Z][A-Z_]*(?:/|\Z)')
"""A step of a path in capitals, as in documentation: `REPOSITORY`, `YOUR_TEAM`."""

_NO_IMAGES = re.compile(r'/?(?:v2|oauth2|acr/v1)(?:/|\Z)')
"""What paths of the registry's API begin with. Repositories may begin so, too."""

_OF_API = re.compile(
    r'/?(?:(?:v2|oauth2|acr/v1)/?\Z|(?:v2|acr/v1)/_catalog(?:/|\Z)|oauth2/(?:token|exchange)/?\Z'
    r'|(?:v2|acr/v1)/.{1,600}/(?:tags|manifests|blobs|referrers|_tags|_manifests|_metadata)(?:/|\Z))'
)
_WEB = ('http://', 'https://')
_COMPARED = re.compile(
    r'\b(?:starts_?with|has_?prefix|ends_?with|contains|includes|matches)\s?\([^()\n]{0,200}\Z', re.IGNORECASE
)
NO_TAG = 'neither a tag nor a digest stands beside it'


@dataclass(frozen=True)
class RegistryNames:
    """The host names under which references mean this registry: its login server, and custom domains."""

    login_server: str
    aliases: tuple[str, ...] = ()

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """Each in lower case, without a scheme and a port."""
        return tuple(dict.fromkeys(_bare_host(name) for name in (self.login_server, *self.aliases)))

    def has(self, host: str) -> bool:
        """Whether a host, with or without a port, is this registry; its data endpoints and regional ones are."""
        return re.fullmatch(_hosts_pattern(self), _bare_host(host), re.IGNORECASE) is not None

    def may_be(self, host: str) -> bool:
        """Whether a host with values still to be filled in may turn out to be this registry."""
        pattern = '.*'.join(re.escape(part) for part in _TEMPLATE.split(_bare_host(host)))
        return any(re.fullmatch(pattern, known) for known in self.hosts)


@dataclass(frozen=True)
class Reference:
    """An image of this registry by tag, by digest, or by both.

    It is not `certain` when the text may not mean an image, or may mean another registry: it is kept all the same,
    but nobody needs to be told when it is not there.
    """

    repository: str
    tag: str | None = None
    digest: str | None = None
    certain: bool = True

    @property
    def shown(self) -> str:
        """`app:v1@sha256:...`, as people write it."""
        tag, digest = f':{self.tag}' if self.tag else '', f'@{self.digest}' if self.digest else ''
        return f'{self.repository}{tag}{digest}'


@dataclass(frozen=True)
class Unresolved:
    """A reference to this registry that cannot be followed: a part of it is filled in by another tool, or is wrong."""

    text: str
    why: str

    @property
    def is_open(self) -> bool:
        """Whether a name is left open in it that may have a value, which is more than a place for the reader's own."""
        return '$' in self.text or '{' in self.text


Finding = Reference | Unresolved


def find_references(text: str, names: RegistryNames, runs: bool = False) -> list[Finding]:
    """Every reference to this registry in a text, each once, in order; patterns such as `team/*` are none.

    A reference that says neither a tag nor a digest means `latest` where it is the whole text, or where the text
    `runs` or pulls images; elsewhere it is unresolved.
    """
    return list((_found if len(text) <= _SHORT else _found.__wrapped__)(text, names, runs))


@lru_cache(maxsize=4_096)
def _found(text: str, names: RegistryNames, runs: bool) -> tuple[Finding, ...]:
    """Lists of pods say few texts many times."""
    found: list[Finding] = []
    if 'pkg:' in text:
        found.extend(_purls(text, names))
        text = _PURL.sub(' ', text)
    if '/' in text:
        whole = _without_scheme(text.strip())
        for match in _finder(names).finditer(text):
            known = bool(match['host']) or names.has(_TEMPLATE.split(match['variable'])[-1])
            if known or names.may_be(match['variable']):
                found.extend(_read(match, known, runs or match.group() == whole))
    return tuple(dict.fromkeys(found))


def mentions(text: str, names: RegistryNames) -> bool:
    """Whether a text names the registry itself, and not only patterns of its repositories."""
    return (_mentions if len(text) <= _SHORT else _mentions.__wrapped__)(text, names)


@lru_cache(maxsize=4_096)
def _mentions(text: str, names: RegistryNames) -> bool:
    folded = text.lower()
    if not any(_stem(host) in folded for host in names.hosts):
        return False
    return any(_is_mention(match, text) for match in _mention(names).finditer(text))


def _is_mention(match: re.Match[str], text: str) -> bool:
    """Whether a host in a text may belong to an image: the end of a sentence, an address of mail, a path of the API, a
    pattern, and what a text is compared with do not.
    """
    end = match.end()
    is_mail = match.start() > 1 and text[match.start() - 1] == '@' and text[match.start() - 2].isalnum()
    ends_sentence = ' ' in text[: match.start()] and _SENTENCE_ENDS.match(text, end - 1) is not None
    compared = _COMPARED.search(text[max(0, match.start() - _SHORT) : match.start()])
    no_image = _NO_IMAGES.match(text, end) or _PAGE_FOLLOWS.match(text, end) or text.startswith(('*', '/*'), end)
    return not (is_mail or ends_sentence or compared or no_image)


def _stem(host: str) -> str:
    """What the names of all regions of a registry begin with."""
    return host.partition('.')[0]


def has_template(text: str) -> bool:
    """Whether some part of a text is filled in by another tool."""
    return _TEMPLATE.search(text) is not None


def split_repository(text: str, names: RegistryNames) -> str | None:
    """The repository, where the text is a reference to this registry that says neither a tag nor a digest."""
    return (_split if len(text) <= _SHORT else _split.__wrapped__)(text, names) if '/' in text else None


@lru_cache(maxsize=4_096)
def _split(text: str, names: RegistryNames) -> str | None:
    match = _finder(names).fullmatch(_without_scheme(text.strip()))
    if not match or not match['host'] or match['tag'] or match['digest'] is not None:
        return None
    if _is_of_api(match['path'], text, text.find('://') + 3) or _OF_PAGES.search(match['path']):
        return None
    return _repository(match['path'])


def reference_to(repository: str, tag: str | None, digest: str | None, certain: bool = True) -> Finding:
    """The reference that these parts make, as they were written; None and empty mean that one is missing."""
    text = f'{repository}{":" + tag if tag else ""}{"@" + digest if digest else ""}'
    name = _repository(repository)
    if name is None:
        return Unresolved(text, _why(repository, 'repository'))
    if digest:
        spelled = digest.lower()
        if not _GOOD_DIGEST.match(spelled):
            return Unresolved(text, _why(digest, 'digest'))
        return Reference(name, tag if tag and _is_tag(tag) else None, spelled, certain)
    if not tag:
        return Reference(name, LATEST, None, certain)
    return Reference(name, tag, None, certain) if _is_tag(tag) else Unresolved(text, _why(tag, 'tag'))


def with_host_once(finding: Finding, names: RegistryNames) -> list[Finding]:
    """A finding, and the image that is meant where its repository begins with a name of the registry.

    So it does where two names were joined that both have it. Neither is certain then.
    """
    if isinstance(finding, Reference):
        host, _, path = finding.repository.partition('/')
        if path and '.' in host and names.has(host):
            literal = replace(finding, certain=False)
            return [literal, replace(literal, repository=path)]
    return [finding]


def _read(match: Any, known: bool, alone: bool) -> Iterator[Finding]:
    """What a match means. Where the host is not `known`, only what names an image exactly is taken for one of ours."""
    path, tag, digest = _parts(match)
    if tag and _OWN_RUN.match(tag):  # a task of ACR made it itself, in the run that has this number
        return
    if not tag and digest is None and _OF_PAGES.search(path):
        return
    written = path if not tag and digest is None else f'{path}:'
    if _is_of_api(written, match.string, match.start()) or not path.strip('./'):
        return
    if _STANDS_FOR.search(path) and not match.group()[:1].isupper():
        if known:
            yield Unresolved(match.group(), 'its repository stands for another one')
        return
    follows = _PATTERN_FOLLOWS.match(match.string, match.end())
    if follows and known and tag and follows.group() == '(' and tag.isidentifier():  # a call: `app:env("TAG")`
        yield Unresolved(match.group(), 'its tag is filled in by another tool')
        return
    if follows and (not _is_exact(tag, digest) or follows.group() not in _MAY_FOLLOW):
        return
    if not tag and digest is None and _BAD_TAG_FOLLOWS.match(match.string, match.end()):
        if known:
            yield Unresolved(f'{match.group()}{match.string[match.end() :].split()[0]}', _why('', 'tag'))
        return
    if not tag and digest is None and alone:
        why = _why_open(match.string, match.end())
        if why:
            yield from [Unresolved(match.group(), why)] if known else ()
            return
    if not tag and digest is None and (not alone or _is_chart(match)):
        if known:
            yield Unresolved(match.group(), NO_TAG)
        return
    finding = reference_to(path, tag, digest, known)
    if isinstance(finding, Reference):
        is_whole = match.group() == match.string.strip()
        ends = finding.digest is None and tag and not is_whole and tag[-1] in '.-'  # the end of a sentence, most likely
        if known or tag or digest:
            yield replace(finding, certain=finding.certain and not ends and not follows)
        if ends and tag:
            yield from _references(reference_to(path, tag.rstrip('.-'), None, known))
        return
    if known or tag and _names_image(match):
        yield replace(finding, text=match.group())
    if tag and digest is not None:  # it was the digest that could not be read
        yield from _references(reference_to(path, tag, None, known))


def _is_of_api(path: str, text: str, start: int = 0) -> bool:
    """Whether what follows a host, which begins at `start` in a text, is a path of the registry's API, and no image."""
    is_address = text[max(0, start - 8) : start].lower().endswith(_WEB)
    return (_NO_IMAGES if is_address else _OF_API).match(path) is not None


def _is_exact(tag: str | None, digest: str | None) -> bool:
    """Whether a tag or digest is one as it stands."""
    return _GOOD_DIGEST.match(digest.lower()) is not None if digest else bool(tag) and _is_tag(tag or '')


def _why_open(text: str, end: int) -> str:
    """Why a name that ends there is no image `latest`: a tag without a value follows, or more of the name."""
    if _EMPTY_TAG_FOLLOWS.match(text, end):
        return 'its tag is left empty, and is filled in by another tool'
    goes_on = text[end - 1] == '/' or _GOES_ON.match(text, end)
    return 'its repository is filled in by another tool' if goes_on else ''


def _is_chart(match: Any) -> bool:
    """Whether it is an OCI URL: what pulls those needs a version."""
    return match.string[: match.start()].lower().endswith('oci://')


def _names_image(match: Any) -> bool:
    """Whether a host and a tag that are both filled in elsewhere stand for an image, and not for a path or a port."""
    before = match.string[max(0, match.start() - 8) : match.start()].lower()
    path = _TEMPLATE.sub('', match['path']).strip('/.')
    return bool(path) and not before.endswith((*_WEB, '/')) and not path.startswith(('src', 'bin'))


def _references(finding: Finding) -> Iterator[Finding]:
    if isinstance(finding, Reference):
        yield finding


def _parts(match: Any) -> tuple[str, str | None, str | None]:
    """Repository, tag and digest as written; the address of a manifest in the registry's API has them too."""
    path, tag, digest = match['path'], match['tag'], match['digest']
    address = _API.match(path)
    if not address:
        return path, tag, '?' if digest == '' else digest
    repository, reference = address.groups()
    return (repository, None, f'{reference}:{tag}') if tag else (repository, reference, None)


def _purls(text: str, names: RegistryNames) -> Iterator[Finding]:
    """Package URLs of images, as SBOM and VEX documents have them."""
    for match in _PURL.finditer(text):
        package, _, query = match.group(1).replace('&amp;', '&').partition('?')
        name, _, version = unquote(package.partition('#')[0]).partition('@')
        first, _, rest = name.partition('/')
        if rest and names.has(first):
            query, name = f'repository_url={first}/{rest}&{query}', rest.rpartition('/')[2]
        told = parse_qs(query.partition('#')[0])
        host, _, path = _without_scheme(told.get('repository_url', [''])[0]).partition('/')
        if host and names.has(host):
            repository = path if path == name or path.endswith(f'/{name}') else f'{path}/{name}'.lstrip('/')
            tag = told.get('tag', [None])[0]
            is_digest = ':' in version
            yield reference_to(
                repository,
                tag or (None if is_digest else version),
                version if is_digest else None,
                certain=bool(tag or version),
            )


@cache
def _finder(names: RegistryNames) -> Pattern[str]:
    host = f'(?:{_BEFORE}(?:(?P<host>{_hosts_pattern(names)})|(?P<variable>{_VARIABLE_HOST})){_PORT}/)'
    return re.compile(host + _PATH + _TAG + _DIGEST, re.IGNORECASE)


@cache
def _mention(names: RegistryNames) -> Pattern[str]:
    return re.compile(rf'{_BEFORE}(?:{_hosts_pattern(names)}){_PORT}/?(?![\w-]|\.[a-z])', re.IGNORECASE)


@cache
def _hosts_pattern(names: RegistryNames) -> str:
    """The names, and below the login server those of its data endpoints and regions: `name.region.data.azurecr.io`."""
    login, *others = names.hosts
    head, dot, rest = login.partition('.')
    own = re.escape(head) + (r'(?:\.[a-z0-9-]{1,63}){0,3}\.' + re.escape(rest) if dot else '')
    return '|'.join([own, *map(re.escape, others)])


def _bare_host(name: str) -> str:
    return re.sub(r':\d{1,5}\Z', '', _without_scheme(name.strip()).lower().rstrip('/')).rstrip('.')


def _without_scheme(text: str) -> str:
    head, scheme, rest = text.partition('://')
    return rest if scheme and head.replace('-', '').isalpha() else text


def _repository(path: str) -> str | None:
    """The name of a repository, None when it is not one; runtimes read names in lower case only."""
    name = re.sub('/{2,}', '/', path.lower()).strip('/').rstrip('.-_')
    return name if _REPOSITORY.match(name) else None


def _is_tag(tag: str) -> bool:
    return bool(_GOOD_TAG.match(tag)) and not _PLACEHOLDER.match(tag)


def _why(text: str, part: str) -> str:
    if _TEMPLATE.search(text) or _PLACEHOLDER.match(text):
        return f'its {part} is filled in by another tool'
    return f'its {part} is not spelled like one'
