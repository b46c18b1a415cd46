"""What the user asked for, as data: rules, what they match, what is protected, and how much may go.

Tags are claimed one by one, since a tag is what people pull; a manifest without user tags is claimed as a whole. The
first rule that matches claims, as in the lifecycle policies of other registries (AWS ECR).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..model import TICKS_PER_SECOND
from ..pins.pinned import Pins, Sources
from ..pins.pulls import Wish
from .ages import DEFAULT_AGO, is_date
from .facts import Facts
from .patterns import EndPattern, GroupPattern, Pattern, glob

DELETE = 'delete'
UNTAG = 'untag'
KEEP = 'keep'
RETIRE = 'retire'

BY_UPDATE = 'updated'
CREATED = 'created'

IMAGES = 'images'
TAGS = 'tags'
ALL = 'all'
OLD = 'old'
SPARE = 'spare'
TAKE = 'take'

OLDEST = 'oldest'
NOT_PULLED_LONGEST = 'notPulledLongest'
LARGEST_FREED = 'largestFreed'

PERCENT_WITHOUT_A_QUESTION = 50
"""The limit of a run with --yes, in percent of the tagged manifests of a repository: nobody sees its preview."""

GHOSTS = 'ghosts'
PARTIAL = 'partial'
ORPHANS = 'orphans'
INCLUDE_QUARANTINED = 'quarantined'
INCLUDED = (GHOSTS, PARTIAL, ORPHANS)
"""What rules take only when that is asked for by name."""


@dataclass(frozen=True)
class RuleScope:
    """Repositories, and tags in them. Without patterns it is all of them."""

    repositories: tuple[Pattern, ...] = ()
    tags: tuple[Pattern, ...] = ()

    def has_repository(self, name: str) -> bool:
        return not self.repositories or any(pattern.matches(name) for pattern in self.repositories)

    def has_tag(self, tag: str) -> bool:
        return not self.tags or any(pattern.matches(tag) for pattern in self.tags)


@dataclass(frozen=True)
class Match:
    """What a rule claims: what is in one of `scopes` and has every property that is given.

    `tagged` is None for both. Types, platforms and states of quarantine are equal to one of those given; sizes are
    bytes. What `excepting` matches is not claimed.
    """

    scopes: tuple[RuleScope, ...] = (RuleScope(),)
    tagged: bool | None = None
    media_types: tuple[str, ...] = ()
    artifact_types: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    at_least: int | None = None
    at_most: int | None = None
    excepting: Match | None = None
    quarantines: tuple[str, ...] = ()

    def names_quarantine(self, state: str) -> bool:
        """Whether a state of quarantine is asked for by name. Otherwise it keeps an image."""
        return state in self.quarantines

    @cached_property
    def asks_for_properties(self) -> bool:
        """Whether anything but place and tags is asked for, whatever else this class may be given."""
        return self != Match(self.scopes, self.tagged)

    @cached_property
    def describes_images(self) -> bool:
        """Whether it says what an image is like, and not only where it is or how it is called."""
        return replace(self, excepting=None).asks_for_properties


@dataclass(frozen=True)
class Age:
    """How long something must have been left alone: `text` as given, a duration or a date, and what it means."""

    text: str = DEFAULT_AGO
    seconds: int = 86_400
    by: str = BY_UPDATE

    @property
    def said(self) -> str:
        """As the end of a sentence: `for 30d or longer`."""
        if not self.seconds and not is_date(self.text):
            return 'for any time'
        return f'since before {self.text}' if is_date(self.text) else f'for {self.text} or longer'


@dataclass(frozen=True)
class Period:
    """A duration or a date: `text` as given, and what it means."""

    text: str
    seconds: int

    @property
    def said(self) -> str:
        """As the end of a sentence: `for 30d`."""
        return f'since {self.text}' if is_date(self.text) else f'for {self.text}'


@dataclass(frozen=True)
class When:
    """What must be true beside the age. What is unknown keeps.

    `expired` are the keys of labels and annotations that say until when an image is wanted.
    """

    not_pulled_for: Period | None = None
    never_pulled_after: Period | None = None
    untagged_for: Period | None = None
    expired: tuple[str, ...] = ()


@dataclass(frozen=True)
class Thin:
    """One image for each of the last `hourly` hours that have one, and so on, as restic keeps snapshots; in UTC.

    With a `group`, in each group that the pattern makes of tags.
    """

    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    group: GroupPattern | None = None


@dataclass(frozen=True)
class Keep:
    """How many of what a rule claims stay, in each repository, tagged and untagged ones apart.

    The `newest` by time; the newest `semver` releases and as many pre-releases by version, where what `patched` finds
    at the end of a tag is no part of its version; the newest (count, pattern) in each group that a pattern makes; the
    `recently_pulled` by last pull; and what `thin` spreads over time. `per_subject` is another thing: of what refers to
    the same image, so many stay, the newest, and the others go while the image stays.

    `count` is IMAGES, where an image that stays keeps all its tags, or TAGS. `of` is ALL that is claimed, or what is
    OLD enough to go. What cannot be ranked is spared unless `others` is TAKE.
    """

    newest: int = 0
    semver: int = 0
    groups: tuple[tuple[int, GroupPattern], ...] = ()
    patched: EndPattern | None = None
    recently_pulled: int = 0
    thin: Thin | None = None
    per_subject: int = 0
    count: str = IMAGES
    of: str = OLD
    others: str = SPARE

    @property
    def spares_some(self) -> bool:
        ranks = self.newest or self.semver or self.groups or self.recently_pulled or self.thin
        return bool(ranks or self.per_subject)

    @property
    def ranks_by_tag(self) -> bool:
        """Whether it asks what a tag is called, which an untagged image cannot answer."""
        return bool(self.semver or self.groups or self.thin and self.thin.group)


@dataclass(frozen=True)
class Until:
    """A rule takes no more than it takes for so many bytes: freed by the plan, left in the registry or in a repository.

    Each image that it may take goes in `order`: OLDEST, NOT_PULLED_LONGEST, or LARGEST_FREED first.
    """

    freed: int | None = None
    registry_under: int | None = None
    repository_under: int | None = None
    order: str = OLDEST


@dataclass(frozen=True)
class Rule:
    """One rule. `name` is empty for a rule made from options.

    `action` is DELETE, UNTAG, KEEP or RETIRE, which makes pulls of an image fail and deletes it when it stayed so for
    as long as `retire_for`.
    """

    match: Match = Match()
    action: str = DELETE
    age: Age = Age()
    keep: Keep = Keep()
    name: str = ''
    when: When = When()
    until: Until | None = None
    retire_for: Period | None = None

    @property
    def takes_images(self) -> bool:
        """Whether it deletes images, at once or later, and not only tags."""
        return self.action in (DELETE, RETIRE)

    def says(self, text: str) -> str:
        """A reason, with the name of the rule in front where it has one."""
        return f'{self.name}: {text}' if self.name else text


@dataclass(frozen=True)
class Settling:
    """Nothing goes that is younger than so many seconds, whatever a rule says, for the reason that `text` gives."""

    seconds: int
    text: str


@dataclass(frozen=True)
class Protection:
    """What stays whatever the rules say: the tags in `scope`, or all of its repositories where it names no tags.

    `text` is as the user said it. With `whole_image` all tags of an image stay that has one of those.
    """

    text: str
    scope: RuleScope
    whole_image: bool = False


@dataclass(frozen=True)
class PullLog:
    """Which log tells of pulls, and whose pulls do not count: identities and user agents, such as those of scanners."""

    workspace: str | None = None
    identities: tuple[str, ...] = ()
    user_agents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """How much may go in one run; None is no limit.

    `deletions` counts manifests and tags removed alone, `manifests` only those; `percent` is of the tagged manifests
    of a repository, where those that lose all their tags count as gone.
    """

    deletions: int | None = None
    manifests: int | None = None
    percent: float | None = None


@dataclass(frozen=True)
class Selection:
    """Repositories in which something may be deleted: those that some pattern of every group matches.

    A name without wildcards in `asked_for` has to exist.
    """

    asked_for: tuple[Pattern, ...] = ()
    groups: tuple[tuple[Pattern, ...], ...] = ()

    def select(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if all(any(pattern.matches(name) for pattern in group) for group in self._all())]

    def by_name(self) -> list[str] | None:
        """The repositories, when they can be told without a list of all that there are; else None."""
        for group in self._all():
            if all(pattern.literal for pattern in group):
                return self.select(sorted({pattern.text for pattern in group}))
        return None

    def _all(self) -> Iterable[tuple[Pattern, ...]]:
        return (group for group in (self.asked_for, *self.groups) if group)


@dataclass(frozen=True)
class Policy:
    """All that a decision needs to know of the user's wishes.

    `given` is what the plan document shows as `policy`. `min_keep` tagged images stay in each repository, the newest
    ones, whatever the rules say. `include_locked` takes what is locked by itself or by a tag, not locked repositories.
    `include` names what else the rules take: GHOSTS; ORPHANS, which are attachments by tag whose subject is nowhere;
    and PARTIAL, indexes that lack children, which no number kept spares then.
    `facts` are what rules ask beside the lists; `pull_log` says where those on pulls are.
    `sources` say where pins are, `pulled` which pulls count as pins; `pins` is what was found there.
    With `by_itself` each tag and each manifest goes by its own age alone, as with `acr purge`; else an image goes with
    its last tags, its parts and what refers to it, or none of it does. `keep_untagged` images without any tag left
    stay in each repository, the newest of those that are old enough, whichever rule claims them. `settling` is an age
    that everything has to have. `loosened` are the guards that are weaker for this registry than for all, and
    `registries` those of which the file says something else. The tags that match `kept_locked`, their manifests and the
    parts of these are kept locked; None is nothing said of locks.
    """

    rules: tuple[Rule, ...]
    given: Mapping[str, Any] = field(default_factory=dict)
    repositories: tuple[Pattern, ...] = ()
    protections: tuple[Protection, ...] = ()
    digests: frozenset[str] = frozenset()
    limits: Limits = Limits()
    min_keep: int = 0
    include_locked: bool = False
    include: frozenset[str] = frozenset()
    sources: Sources = Sources()
    pulled: Wish | None = None
    pins: Pins = Pins()
    facts: Facts = Facts()
    pull_log: PullLog | None = None
    by_itself: bool = False
    keep_untagged: int = 0
    settling: Settling | None = None
    loosened: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()
    kept_locked: tuple[Protection, ...] | None = None

    @property
    def selection(self) -> Selection:
        """Where something may be deleted: `--repository`, as far as some rule that deletes covers it."""
        scopes = [scope for rule in self.rules if rule.action != KEEP for scope in rule.match.scopes]
        scopes += [each.scope for each in self.kept_locked or ()]
        everywhere = any(not scope.repositories for scope in scopes)
        covered = () if everywhere else tuple(pattern for scope in scopes for pattern in scope.repositories)
        return Selection(self.repositories, (covered,))

    @property
    def takes_tags(self) -> bool:
        """Whether some rule may remove a tag, or tags are kept locked."""
        takes = any(rule.action != KEEP and rule.match.tagged is not False for rule in self.rules)
        return takes or self.kept_locked is not None

    @property
    def asks_for_labels(self) -> bool:
        return any(
            match.labels or rule.when.expired
            for rule in self.rules
            for match in (rule.match, rule.match.excepting or rule.match)
        )

    @property
    def asks_for_pulls(self) -> bool:
        return any(
            rule.when.not_pulled_for
            or rule.when.never_pulled_after
            or rule.keep.recently_pulled
            or rule.until
            and rule.until.order == NOT_PULLED_LONGEST
            for rule in self.rules
        )

    @property
    def retires(self) -> bool:
        return any(rule.action == RETIRE for rule in self.rules)

    @property
    def asks_for_untagging(self) -> bool:
        """Whether some rule of a file takes images without a tag: the day of the last one counts with their age."""
        return any(rule.name and rule.takes_images and rule.match.tagged is not True for rule in self.rules)

    def untagging_since(self, now: int) -> int | None:
        """The instant from which on untagging is of interest, in ticks like `now`; None where it always is."""
        if any(rule.when.untagged_for for rule in self.rules):
            return None
        return now - max((rule.age.seconds for rule in self.rules), default=0) * TICKS_PER_SECOND

    def protects_repository(self, name: str) -> str | None:
        """What protects the whole repository, as the user said it."""
        return next(
            (each.text for each in self.protections if not each.scope.tags and each.scope.has_repository(name)), None
        )

    def protects_tag(self, repository: str, tag: str) -> str | None:
        """What protects a tag, as the user said it."""
        return next(
            (
                each.text
                for each in self.protections
                if each.scope.has_repository(repository) and each.scope.has_tag(tag)
            ),
            None,
        )


def untagged_policy(age: Age = Age(), keep: int = 0, repositories: tuple[str, ...] = ()) -> Policy:
    """The policy of `az acr prune untagged`; `repositories` are globs."""
    untagged: dict[str, Any] = {'ago': age.text, 'keep': keep}
    if age.by != BY_UPDATE:
        untagged['ageBy'] = age.by
    given = {'untagged': untagged, 'repositories': list(repositories)}
    return Policy((untagged_rule(age, keep),), given, tuple(glob(name) for name in repositories), by_itself=True)


def untagged_rule(age: Age = Age(), keep: int = 0, scopes: tuple[RuleScope, ...] = (RuleScope(),)) -> Rule:
    """Untagged manifests, wherever one of the scopes has their repository."""
    match = Match(tuple(RuleScope(scope.repositories) for scope in scopes), tagged=False)
    return Rule(match, DELETE, age, Keep(keep, of=ALL))
