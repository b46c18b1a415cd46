"""A policy in plain sentences: one for each rule, each protection and each limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .ages import is_date
from .rules import (
    CREATED,
    DELETE,
    IMAGES,
    KEEP,
    LARGEST_FREED,
    NOT_PULLED_LONGEST,
    OLD,
    OLDEST,
    RETIRE,
    TAKE,
    UNTAG,
    Keep,
    Match,
    Policy,
    Rule,
    RuleScope,
    Thin,
    Until,
    When,
)


def sentences(policy: Policy) -> list[str]:
    """What a policy does, in the order in which it is decided."""
    return [*_protections(policy), *map(_of_rule, policy.rules), *_limits(policy)]


def _protections(policy: Policy) -> Iterator[str]:
    for each in policy.protections:
        what = 'The image with such a tag stays, with all its tags' if each.whole_image else 'What matches stays'
        yield f'{what}, whatever the rules say ({each.text}).'
    for each in policy.kept_locked or ():
        yield f'Such a tag, its image and the parts of it are locked against deletion by anybody ({each.text}).'
    for digest in sorted(policy.digests):
        yield f'{digest} stays, whatever the rules say (protect.digests).'
    if policy.sources.ran_within:
        yield f'What ran {_within(policy.sources.ran_within)} stays, whatever the rules say (protect.ran).'
    if policy.pulled:
        yield f'What was pulled {_within(policy.pulled.text)} stays, whatever the rules say (protect.lastPulled).'


def _limits(policy: Policy) -> Iterator[str]:
    if policy.limits.manifests is not None:
        yield f'If more than {policy.limits.manifests} manifests would go, nothing goes (limits.maxManifests).'
    if policy.limits.percent is not None:
        yield (
            f'If more than {policy.limits.percent:g} percent of the tagged manifests of a repository would go, nothing '
            'goes (limits.maxPercent).'
        )
    if policy.min_keep:
        yield (
            f'In each repository the {policy.min_keep} newest images that have a tag keep their newest one, whatever '
            'the rules say (limits.minKeepPerRepository).'
        )
    yield 'What no rule claims stays.'


def _of_rule(rule: Rule) -> str:
    what = _what(rule)
    if rule.action == KEEP:
        return f"'{rule.name}' keeps {what}."
    verb = _VERBS[rule.action]
    keeps = '; '.join(_keeps(rule))
    until = f'; the {_ORDERS[rule.until.order]} go first, until {_enough(rule.until)}' if rule.until else ''
    retires = f'; {_retires(rule)}' if rule.action == RETIRE else ''
    return f"'{rule.name}' {verb} {what} {_when(rule)}{f', but keeps {keeps}' if keeps else ''}{until}{retires}."


_VERBS = {DELETE: 'deletes', UNTAG: 'takes the tag off, not the image:', RETIRE: 'retires'}


def _retires(rule: Rule) -> str:
    period = rule.retire_for.text if rule.retire_for else ''
    return f'pulls of it fail from then on, and what stays so for {period} is deleted for good'


_ORDERS = {
    OLDEST: 'oldest',
    NOT_PULLED_LONGEST: 'ones that nobody pulled for longest',
    LARGEST_FREED: 'ones that free most',
}


def _enough(until: Until) -> str:
    if until.freed is not None:
        return f'the plan frees {until.freed:,} bytes'
    if until.registry_under is not None:
        return f'the registry stores no more than {until.registry_under:,} bytes'
    return f'each repository holds no more than {until.repository_under:,} bytes'


def _what(rule: Rule) -> str:
    match = rule.match
    kind = {True: 'tags', False: 'images without a tag', None: 'tags and images without a tag'}[match.tagged]
    excepting = f', except those{_described(match.excepting, rule)}' if match.excepting else ''
    return f'{kind}{_described(match, rule)}{excepting}'


def _described(match: Match, rule: Rule) -> str:
    some = 'one image' if rule.action == KEEP else 'all images'
    parts = [
        *map(_where, match.scopes),
        _one_of(' with the media type ', match.media_types),
        _one_of(' with the artifact type ', match.artifact_types),
        _one_of(f' for the platform (of an index: {some}) ', match.platforms),
        _one_of(' in quarantine as ', match.quarantines),
        _pairs(f' with the annotation (of an index: itself, or {some})', match.annotations),
        _pairs(f' with the label (of an index: {some})', match.labels),
        '' if match.at_least is None else f' of {match.at_least:,} bytes or more',
        '' if match.at_most is None else f' of {match.at_most:,} bytes or less',
    ]
    return ''.join(parts)


def _where(scope: RuleScope) -> str:
    tags = _one_of(' that match ', [pattern.text for pattern in scope.tags])
    places = _one_of(' in ', [pattern.text for pattern in scope.repositories]) or ' in all repositories'
    return f'{tags}{places}'


def _one_of(text: str, words: Sequence[str]) -> str:
    return f'{text}{" or ".join(words)}' if words else ''


def _pairs(text: str, pairs: Iterable[tuple[str, str]]) -> str:
    found = ' and '.join(f'{key}={value}' for key, value in pairs)
    return f'{text} {found}' if found else ''


def _when(rule: Rule) -> str:
    by = (
        f'when the image was created {_before(rule.age.text)} and the tag not moved since'
        if rule.age.by == CREATED
        else f'when untouched {rule.age.said}'
    )
    return ' and '.join([by, *_conditions(rule.when)])


def _within(text: str) -> str:
    return f'since {text}' if is_date(text) else f'within {text}'


def _before(text: str) -> str:
    return f'before {text}' if is_date(text) else f'{text} ago or longer'


def _conditions(when: When) -> Iterator[str]:
    if when.not_pulled_for:
        yield f'not pulled {when.not_pulled_for.said}'
    if when.never_pulled_after:
        yield f'never pulled and created {_before(when.never_pulled_after.text)}'
    if when.untagged_for:
        yield f'without a tag {when.untagged_for.said}'
    if when.expired:
        yield f'past the date that {" or ".join(when.expired)} says'


def _keeps(rule: Rule) -> Iterator[str]:
    keep = rule.keep
    unit = 'images' if keep.count == IMAGES else 'tags'
    if keep.newest:
        yield f'the {keep.newest} newest {unit}'
    if keep.semver:
        yield f'the {unit} of the {keep.semver} newest versions and of as many pre-releases'
    for number, pattern in keep.groups:
        yield f'the {number} newest {unit} of each group of {pattern.text}'
    if keep.recently_pulled:
        yield f'the {keep.recently_pulled} {unit} pulled last'
    if keep.per_subject:
        yield f'the {keep.per_subject} newest of those that refer to the same image'
        return
    if keep.thin:
        yield f'{_thin(keep.thin)} {unit}'
    if keep != Keep():
        among = 'what is old enough' if keep.of == OLD else 'all that it claims'
        yield f'in each repository, of {among}'
    if keep.ranks_by_tag or keep.recently_pulled:
        yield f'what cannot be ranked {"goes" if keep.others == TAKE else "stays"}'


def _thin(thin: Thin) -> str:
    numbers = {
        'hourly': thin.hourly,
        'daily': thin.daily,
        'weekly': thin.weekly,
        'monthly': thin.monthly,
        'yearly': thin.yearly,
    }
    said = ', '.join(f'{number} {word}' for word, number in numbers.items() if number)
    return f'{said}{f" of each group of {thin.group.text}" if thin.group else ""}'
