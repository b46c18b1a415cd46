"""Patterns over names of repositories and tags: globs, and regular expressions that cannot run away."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import regex

from ..prune_error import Kind, PruneError
from .names import can_be_repository, can_be_tag

SECONDS_PER_EVALUATION = 5

_GLOB_PARTS = re.compile(r'(\*\*/|\*\*|\*|\?)')
_GLOB_MEANING = {'**/': '(?:.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]'}
_HOST = re.compile(r'[a-z0-9-]+(\.[a-z0-9-]+)*\.azurecr\.(io|cn|us)/', re.ASCII)
_PORT = re.compile(r'[A-Za-z0-9.-]+:[0-9]{1,5}/', re.ASCII)
_GLOB_LIKE = re.compile(r'(?=.*[*?])(?:[A-Za-z0-9_/-]|[*?]|\.(?![*?+]))+\Z')
_ALTERNATIVES = re.compile(r'(?<![\\pP])\{[^{}]*[^{}0-9,][^{}]*\}')
_ANY_HOST = re.compile(r'\\?\.azurecr\\?\.(io|cn|us)\b')
_PLATFORM = re.compile(r'(?!.*/(x86_64|aarch64)\Z)[a-z0-9]+/[a-z0-9_]+\Z', re.ASCII)
_CURE_OF_DIGEST = "write all 64 digits of it under 'protect: {digests: [...]}'"
_MACHINES = {'x86_64': 'amd64', 'x64': 'amd64', 'aarch64': 'arm64'}
_DIGEST = re.compile(r'@|sha256:[0-9a-f]{7}', re.ASCII)
_DIGEST_IN_REGEX = re.compile(r'@(?:sha256|[0-9a-f]{7})|sha256:[0-9a-f]{7}', re.ASCII)
"""An `@` alone may belong to an expression: `[^@]` is a class."""
_SPECIAL_IN_REGEX = set('\\^$.|?*+()[]{}')


class BadPattern(ValueError):
    """A pattern that cannot be read; the text says which and why."""


class PatternTimeout(PruneError):
    """One evaluation of a regular expression took too long; the text is the pattern."""

    kind = Kind.INVALID
    sentence = "The pattern '{message}' takes too long to evaluate."
    advice = 'Write it without nested repetitions, such as (a+)+.'


@dataclass(frozen=True)
class Pattern:
    """A compiled pattern. `text` is as the user gave it; `literal` means that it can only match this very name."""

    text: str
    literal: bool
    _search: Any = field(repr=False, compare=False)
    is_glob: bool = False

    def matches(self, name: str) -> bool:
        """Raises PatternTimeout."""
        try:
            return self._search(name, timeout=SECONDS_PER_EVALUATION) is not None
        except TimeoutError:
            raise PatternTimeout(self.text) from None


@dataclass(frozen=True)
class GroupPattern:
    """A regular expression whose named groups make groups of names, such as the branch in a tag."""

    text: str
    _compiled: Any = field(repr=False, compare=False)

    def group_of(self, name: str) -> tuple[str, ...]:
        """What the named groups matched; empty when the name does not match. Raises PatternTimeout."""
        try:
            match = self._compiled.search(name, timeout=SECONDS_PER_EVALUATION)
        except TimeoutError:
            raise PatternTimeout(self.text) from None
        return tuple(value or '' for _, value in sorted(match.groupdict().items())) if match else ()


def refuse_digest(text: str, cure: str, is_regex: bool = False) -> None:
    """Raise BadPattern for a pattern over names that was meant as an image by its digest: it would match nothing."""
    if (_DIGEST_IN_REGEX if is_regex else _DIGEST).search(text):
        raise BadPattern(f"'{text}' names an image by its digest, and this is a pattern over names: {cure}")


def without_digest(text: str) -> str:
    """The same text. Raises BadPattern where it names an image by its digest."""
    refuse_digest(text, _CURE_OF_DIGEST)
    return text


def repository_glob(text: str) -> Pattern:
    """A glob over repositories that some legal name matches. Raises BadPattern with the cure for one that none does."""
    without_digest(text)
    if not can_be_repository(text):
        raise BadPattern(f"no repository can have a name like '{text}': {_cure_of_repository(text)}")
    refuse_host(text)
    return glob(text)


def refuse_host(text: str) -> None:
    """Raise BadPattern for a repository, or an image, with its registry before it, as it is pulled."""
    if _HOST.match(text) or _PORT.match(text):
        raise BadPattern(f"'{text}' begins with the name of a registry; leave out '{text.partition('/')[0]}/'")


def tag_glob(text: str) -> Pattern:
    """A glob over tags that some legal tag matches. Raises BadPattern with the cure for one that none does."""
    without_digest(text)
    if not can_be_tag(text):
        raise BadPattern(f"no tag can be like '{text}': {_cure_of_tag(text)}")
    return glob(text)


def platform(text: str) -> str:
    """A platform as registries list it. Raises BadPattern with the cure for one that no image can have."""
    if not _PLATFORM.match(text):
        raise BadPattern(f"no image is listed for the platform '{text}': {_cure_of_platform(text)}")
    return text


def _cure_of_platform(text: str) -> str:
    system, _, machine = text.lower().rpartition('/')
    machine = _MACHINES.get(machine, machine)
    if _PLATFORM.match(f'linux/{machine}') and not system:
        return f"it is a system and a processor, such as 'linux/{machine}'"
    if '/' in system:
        return f"it has no variant; did you mean '{system}'?"
    known = f'{system}/{machine}'
    return f"did you mean '{known}'?" if _PLATFORM.match(known) else "it is a system and a processor, as 'linux/arm64'"


def whole_type(text: str) -> str:
    """A media type or artifact type, which is compared as a whole. Raises BadPattern."""
    if set(text) & set('*?{} '):
        raise BadPattern(f"no type is called '{text}', and a type is compared as a whole; write each as an item")
    return text


def _cure_of_repository(text: str) -> str:
    if ':' in text:
        return f"write '{text.partition(':')[0]}' here, and what is behind the colon as a tag"
    if text != text.lower() and can_be_repository(text.lower()):
        return f"names of repositories have no capitals; did you mean '{text.lower()}'?"
    if text.endswith('/'):
        return f"a name does not end with a slash; did you mean '{text}**'?"
    return _cure_of_syntax(text) or "a name is lower-case letters and digits, with single '.', '-', '_' or '/' inside"


def _cure_of_tag(text: str) -> str:
    if ':' in text:
        return "a tag has no colon; write what is before it under 'repositories'"
    if '/' in text:
        return "a tag has no slash; write the repository under 'repositories', or begin with 'repository:' in 'protect'"
    return (
        _cure_of_syntax(text)
        or "a tag is up to 128 letters, digits, '_', '.' and '-', and begins with none of the last two"
    )


def _cure_of_syntax(text: str) -> str:
    if set(text) & set('{}|,'):
        return 'a glob has no alternatives; write each as an item of its own'
    if set(text) & set('[]^$+()\\'):
        return "a glob knows only '*', '**' and '?'; an expression belongs under 'tagsRegex' or 'repositoriesRegex'"
    return 'take out the blanks' if set(text) & set(' \t') else ''


@dataclass(frozen=True)
class EndPattern:
    """A regular expression of the end of names."""

    text: str
    _compiled: Any = field(repr=False, compare=False)

    def without_end(self, name: str) -> str:
        """The name without the end that matches. Raises PatternTimeout."""
        try:
            match = self._compiled.search(name, timeout=SECONDS_PER_EVALUATION)
        except TimeoutError:
            raise PatternTimeout(self.text) from None
        return name[: match.start()] if match else name


def glob(text: str) -> Pattern:
    """A glob over names: `*` and `?` stay inside one namespace, `**` crosses them.

    `team-a/**` is everything below `team-a/`; `**/web` is `web` in any namespace and at the top.
    """
    parts = _GLOB_PARTS.split(text)
    compiled = regex.compile(''.join(_GLOB_MEANING.get(part, re.escape(part)) for part in parts))
    return Pattern(text, not set(text) & set('*?'), compiled.fullmatch, is_glob=True)


def is_like(text: str, wanted: str) -> bool:
    """Whether a text is as a value of a label is asked for: equal, where `*` stands for anything."""
    first, *others = wanted.split('*')
    if not others:
        return text == wanted
    if not text.startswith(first):
        return False
    place = len(first)
    for part in others[:-1]:
        found = text.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return len(text) - place >= len(others[-1]) and text.endswith(others[-1])


def anchored_regex(text: str) -> Pattern:
    """A regular expression that has to match the whole name. Raises BadPattern."""
    return Pattern(text, not set(text) & _SPECIAL_IN_REGEX, _compiled(text).fullmatch)


def searching_regex(text: str) -> Pattern:
    """A regular expression that has to match somewhere in the name. Raises BadPattern."""
    return Pattern(text, False, _compiled(text).search)


def chosen_repositories(text: str) -> Pattern:
    """`anchored_regex` in a policy file. Raises BadPattern for what was meant as a glob, too."""
    _refuse_glob(text, 'repositories')
    if _ANY_HOST.search(text):
        raise BadPattern(f"'{text}' has the name of a registry in it; begin with the repository")
    return anchored_regex(text)


def chosen_tags(text: str) -> Pattern:
    """`searching_regex` in a policy file. Raises BadPattern for what was meant as a glob, too."""
    _refuse_glob(text, 'tags')
    if '/' in text:
        raise BadPattern(f"no tag can be like '{text}': a tag has no slash; write the repository under 'repositories'")
    return searching_regex(text)


def _refuse_glob(text: str, key: str) -> None:
    """Raise for an expression that takes everything by a slip: `v*` is found in each tag, `pr-*` in `prod-1`."""
    refuse_digest(text, _CURE_OF_DIGEST, is_regex=True)
    if _GLOB_LIKE.match(text):
        raise BadPattern(
            f"'{text}' looks like a glob; did you mean {key}: ['{text}']? As an expression, write it with '^' and '$'"
        )
    if _ALTERNATIVES.search(text):
        raise BadPattern(
            f"'{text}' has braces, which are no alternatives in an expression; write '(a|b)' for '{{a,b}}'"
        )
    if anchored_regex(text).matches(''):
        raise BadPattern(
            f"'{text}' matches everything, even nothing at all; leave it out, or write '.+' or what has to be there"
        )


def grouping_regex(text: str) -> GroupPattern:
    """A regular expression with at least one named group. Raises BadPattern."""
    compiled = _compiled(text)
    if not compiled.groupindex:
        raise BadPattern(f"'{text}' has no named group like (?P<branch>...)")
    return GroupPattern(text, compiled)


def ending_regex(text: str) -> EndPattern:
    """A regular expression of what may stand at the end of a name. Raises BadPattern."""
    _compiled(text)  # the error speaks of what the user wrote
    return EndPattern(text, _compiled(f'(?:{text})\\Z'))


def split_filter(text: str) -> tuple[str, str]:
    """The two halves of `REPO_REGEX:TAG_REGEX`, split at the first colon outside groups and classes.

    Raises BadPattern when there is no such colon or a half is empty.
    """
    depth, in_class, position = 0, False, 0
    while position < len(text):
        char = text[position]
        if char == '\\':
            position += 1
        elif in_class:
            position, in_class = _in_class(text, position)
        elif char == '[':
            in_class = True
            position = _class_start(text, position)
        elif char in '()':
            depth += 1 if char == '(' else -1
        elif char == ':' and depth <= 0:
            return _halves(text, position)
        position += 1
    raise BadPattern(f"'{text}' has no colon between a repository and a tag expression")


def split_glob(text: str) -> tuple[str, str]:
    """The two halves of a `repository:tag` glob. Raises BadPattern when there are not two."""
    position = text.find(':')
    if position < 0:
        raise BadPattern(f"'{text}' has no colon between a repository and a tag")
    return _halves(text, position)


def _halves(text: str, colon: int) -> tuple[str, str]:
    repository, tag = text[:colon], text[colon + 1 :]
    if not repository or not tag:
        raise BadPattern(f"'{text}' names no {'tag' if repository else 'repository'}")
    return repository, tag


def _class_start(text: str, position: int) -> int:
    """The last position of what belongs to the start of a class: a `]` right there is no end of it."""
    position += text.startswith('^', position + 1)
    return position + text.startswith(']', position + 1)


def _in_class(text: str, position: int) -> tuple[int, bool]:
    """The next position in a class, and whether the class goes on after it; `[:alpha:]` is stepped over."""
    end = text.find(':]', position + 2) if text.startswith('[:', position) else -1
    if end >= 0:
        return end + 1, True
    return position, text[position] != ']'


@cache
def _compiled(text: str) -> Any:
    if not text.isprintable():
        raise BadPattern(
            f"{text!r} has a character that cannot be seen, which '\\b' or '\\t' in double quotes is; write it in "
            'single quotes'
        )
    try:
        return regex.compile(text)
    except (regex.error, OverflowError, RecursionError) as error:
        raise BadPattern(f"'{text}' is not a regular expression ({error})") from error
