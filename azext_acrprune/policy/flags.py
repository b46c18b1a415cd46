"""The options of `tags` and `plan` -> a policy. They are those of `acr purge`, and more."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from .ages import parse_age_or_date
from .patterns import (
    GroupPattern,
    anchored_regex,
    glob,
    grouping_regex,
    refuse_digest,
    searching_regex,
    split_filter,
    split_glob,
)
from .rules import (
    BY_UPDATE,
    DELETE,
    OLD,
    TAGS,
    UNTAG,
    Age,
    Keep,
    Match,
    Policy,
    Protection,
    Rule,
    RuleScope,
    untagged_policy,
    untagged_rule,
)

_CURE_OF_DIGEST = 'prune image takes a digest, and protect.digests of a policy keeps one'


@dataclass(frozen=True)
class Flags:
    """The options as given. Those with many values are tuples of text; `keep_per` is `N:REGEX`.

    `ago` is a duration or a date, and `before` a date in its place. Without `keep_untagged`, `keep` is the number of
    untagged images too that stay.
    """

    filter: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    repository: tuple[str, ...] = ()
    ago: str = '1d'
    before: str | None = None
    age_by: str = BY_UPDATE
    keep: int = 0
    keep_semver: int = 0
    keep_per: tuple[str, ...] = ()
    keep_untagged: int | None = None
    untagged: bool = False
    untagged_only: bool = False
    include_locked: bool = False
    include: tuple[str, ...] = ()

    @property
    def selects_tags(self) -> bool:
        return bool(self.filter or self.match) and not self.untagged_only


def policy_of(flags: Flags, now: float = 0) -> Policy:
    """The policy that options mean. Raises BadPattern, and ValueError for a bad duration or `N:REGEX`.

    With `--untagged`, an image whose last tag goes is deleted, and so are the untagged manifests of the same
    repositories; without it only the tags go, as with `acr purge`. `now` is in seconds since 1970, for dates.
    """
    ago = flags.before or flags.ago
    age = Age(ago, parse_age_or_date(ago, now), flags.age_by)
    scopes = tag_scopes(flags)
    if not (flags.selects_tags or scopes or flags.include_locked or flags.exclude or flags.include):
        return untagged_policy(age, _keep_untagged(flags), flags.repository)
    rules: list[Rule] = []
    if flags.selects_tags:
        keep = Keep(flags.keep, flags.keep_semver, tuple(map(parse_keep_per, flags.keep_per)), count=TAGS, of=OLD)
        rules.append(Rule(Match(scopes, tagged=True), DELETE if flags.untagged else UNTAG, age, keep))
    if flags.untagged or not flags.selects_tags:
        rules.append(untagged_rule(age, 0 if flags.selects_tags else _keep_untagged(flags), scopes or (RuleScope(),)))
    return Policy(
        rules=tuple(rules),
        given={'tags' if flags.selects_tags else 'untagged': _given(flags), 'repositories': list(flags.repository)},
        repositories=tuple(glob(text) for text in flags.repository),
        protections=tuple(Protection(f'--exclude {text}', excluded_scope(text)) for text in flags.exclude),
        include_locked=flags.include_locked,
        include=frozenset(flags.include),
        by_itself=True,
        keep_untagged=_keep_untagged(flags) if flags.selects_tags else 0,
    )


def _keep_untagged(flags: Flags) -> int:
    """`--keep` counts what has no tag too, as with `acr purge` since 0.18, unless there is a number for that."""
    return flags.keep if flags.keep_untagged is None else flags.keep_untagged


def tag_scopes(flags: Flags) -> tuple[RuleScope, ...]:
    """What `--filter` and `--match` select, each by itself. Raises BadPattern."""
    return (*(filter_scope(text) for text in flags.filter), *(glob_scope(text) for text in flags.match))


def filter_scope(text: str) -> RuleScope:
    """`REPO_REGEX:TAG_REGEX` as `acr purge` reads it: the repository part anchored, the tag part not."""
    refuse_digest(text, _CURE_OF_DIGEST, is_regex=True)
    repository, tag = split_filter(text)
    return RuleScope((anchored_regex(repository),), (searching_regex(tag),))


def glob_scope(text: str) -> RuleScope:
    """A `repository:tag` glob. Raises BadPattern."""
    refuse_digest(text, _CURE_OF_DIGEST)
    repository, tag = split_glob(text)
    return RuleScope((glob(repository),), (glob(tag),))


def excluded_scope(text: str) -> RuleScope:
    """A `repository:tag` glob to exclude. With all tags of a repository it excludes its untagged manifests too."""
    scope = glob_scope(text)
    return replace(scope, tags=()) if scope.tags[0].text in ('*', '**') else scope


def parse_keep_per(text: str) -> tuple[int, GroupPattern]:
    """`N:REGEX`, where the expression has a named group. Raises BadPattern or ValueError."""
    number, colon, pattern = text.partition(':')
    if not colon or not number.isascii() or not number.isdigit():
        raise ValueError(f"'{text}' is not N:PATTERN, such as '3:^(?P<branch>.+)-[0-9]+$'")
    return int(number), grouping_regex(pattern)


def key_of(option: str) -> str:
    """An option as documents name it, in camelCase."""
    first, *rest = option.split('_')
    return first + ''.join(map(str.title, rest))


def _given(flags: Flags) -> dict[str, Any]:
    """Every option that is not at its default, in camelCase; `ago` and `keep` always."""
    given: dict[str, Any] = {}
    for option in fields(Flags):
        value = getattr(flags, option.name)
        always = option.name == 'keep' or option.name == 'ago' and not flags.before
        if option.name != 'repository' and (value != option.default or always):
            given[key_of(option.name)] = list(value) if isinstance(value, tuple) else value
    return given
