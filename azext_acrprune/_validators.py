"""Arguments -> values, or a typed error that says what to write instead."""

from __future__ import annotations

import re
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from azure.cli.core.azclierror import (
    InvalidArgumentValueError,
    MutuallyExclusiveArgumentError,
    RequiredArgumentMissingError,
)

from ._registry_validators import validate_registry
from .policy.ages import parse_age_or_date, parse_ago

if TYPE_CHECKING:
    from azure.cli.core.commands import AzCliCommand

Parsed = TypeVar('Parsed')

_HOST = re.compile(r'[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*(?::\d{1,5})?\Z')


_LONGEST_TIME_LIMIT_SECONDS = 10**9

_SELECTING = (
    'filter',
    'match',
    'exclude',
    'ago',
    'before',
    'keep',
    'keep_semver',
    'keep_per',
    'untagged',
    'untagged_only',
    'include_locked',
    'include',
)


def validate_policy_diff(cmd: AzCliCommand, namespace: Namespace) -> None:
    given = namespace.registry_name
    if namespace.inventory_file:
        if given and not getattr(given, 'is_default', False):
            raise MutuallyExclusiveArgumentError(
                '--inventory says what the policies are tried on, and so does --registry.',
                recommendation='Give one of them.',
            )
        return
    if not given:
        raise RequiredArgumentMissingError(
            'Nothing says what the policies are tried on.',
            recommendation='Give --registry, or --inventory with a file that plan --inventory-out wrote.',
        )
    validate_registry(cmd, namespace)


def validate_ago(namespace: Namespace) -> None:
    if namespace.ago is not None:
        _all('--ago', [namespace.ago], _seconds_ago, 'Give a duration such as 30d, or a date such as 2026-08-01.')


def validate_before(namespace: Namespace) -> None:
    if namespace.before is None:
        return
    _all('--before', [namespace.before], _seconds_ago, 'Give a date such as 2026-08-01.')
    if namespace.ago is not None:
        raise MutuallyExclusiveArgumentError('--ago and --before both say how old.', recommendation='Give one of them.')


def validate_max_age(namespace: Namespace) -> None:
    _all('--max-age', [namespace.max_age], _seconds_ago, 'Give a duration such as 24h, or a date such as 2026-08-01.')


def _seconds_ago(text: str) -> int:
    return parse_age_or_date(text, time.time())


def validate_older_than(namespace: Namespace) -> None:
    advice = 'Give a duration such as 180d, or a date such as 2026-08-01.'
    _all('--older-than', [namespace.older_than], _seconds_ago, advice)


def validate_time_limit(namespace: Namespace) -> None:
    """`45m` -> seconds."""
    if namespace.time_limit is None:
        return
    try:
        seconds = parse_ago(namespace.time_limit)
    except ValueError as error:
        raise InvalidArgumentValueError(
            f"--time-limit: '{namespace.time_limit}' is not a duration like 2h, 1h15m or 45m.",
            recommendation='Give a duration such as 45m.',
        ) from error
    if not seconds:
        raise InvalidArgumentValueError(
            '--time-limit: no time is left for anything.', recommendation='Give a duration such as 45m.'
        )
    namespace.time_limit = min(seconds, _LONGEST_TIME_LIMIT_SECONDS)


def validate_pulled_within(namespace: Namespace) -> None:
    from .pins.pulls import check_period

    if namespace.pulled_within is not None:
        _all(
            '--pulled-within',
            [namespace.pulled_within],
            lambda text: check_period(_seconds_ago(text)),
            'Give a duration such as 90d.',
        )


def validate_ran_within(namespace: Namespace) -> None:
    from .pins.pulls import check_period

    if namespace.ran_within is not None:
        _all(
            '--ran-within',
            [namespace.ran_within],
            lambda text: check_period(_seconds_ago(text)),
            'Give a duration such as 90d.',
        )


def validate_repository(namespace: Namespace) -> None:
    from .policy.patterns import refuse_host

    _all('--repository', namespace.repository, refuse_host, 'Give the repository alone.')
    for text in namespace.repository or ():
        name = re.split('[@:]', text)[0]
        if name != text:
            raise InvalidArgumentValueError(
                f"--repository: '{text}' names an image, and this takes whole repositories.",
                recommendation=f"Give '{name}'. Tags are for --match, images for --image, where a command has them.",
            )


def validate_whole_repository(namespace: Namespace) -> None:
    """The one repository that a command deletes; its option has the name of a list in other commands."""
    validate_repository(Namespace(repository=[namespace.name]))


def validate_keep(namespace: Namespace) -> None:
    for name in ('keep', 'keep_semver', 'keep_untagged'):
        if (getattr(namespace, name, None) or 0) < 0:
            raise InvalidArgumentValueError(
                f'--{name.replace("_", "-")}: a number of images cannot be negative.', recommendation='Give 0 or more.'
            )


def validate_limits(namespace: Namespace) -> None:
    if (namespace.max_deletions or 0) < 0 or not 0 <= (namespace.max_percent or 0) <= 100:
        raise InvalidArgumentValueError(
            '--max-deletions or --max-percent: the limit is out of range.',
            recommendation='Give a number of 0 or more, and a percentage up to 100.',
        )


def validate_concurrency(namespace: Namespace) -> None:
    if not 1 <= namespace.concurrency <= 32:
        raise InvalidArgumentValueError(
            '--concurrency: must be from 1 to 32.', recommendation='Leave it out for 32 requests at a time.'
        )


def validate_max_rate(namespace: Namespace) -> None:
    """`600/min` or `10/s` -> calls a minute."""
    if namespace.max_rate is None:
        return
    match = re.fullmatch(r'([0-9]{1,9})/(min|s)', namespace.max_rate)
    if not match or not int(match[1]):
        raise InvalidArgumentValueError(
            f"--max-rate: '{namespace.max_rate}' is not a number of calls in a time.",
            recommendation='Give it by minute or second, such as 600/min or 10/s.',
        )
    namespace.max_rate = int(match[1]) * (60 if match[2] == 's' else 1)


_PRICE_ADVICE = "Give the price of a GiB and day, such as '0.003 USD': a thirtieth of what a GiB costs in a month."


def validate_price(namespace: Namespace) -> None:
    """`0.003 USD` -> a price."""
    from .documents.cost import parse_price

    if namespace.price is not None:
        (namespace.price,) = _all('--price', [namespace.price], parse_price, _PRICE_ADVICE)


def validate_schema(namespace: Namespace) -> None:
    from .documents.schemas import named

    _all('--name', [namespace.name], named, "See 'az acr prune schema list'.")


def validate_top(cmd: AzCliCommand, namespace: Namespace) -> None:
    """Tell az's output how many rows a table has. No command asks for it, but `usage`, whose document it is about."""
    if namespace.top is None:
        return
    if namespace.top < 0:
        raise InvalidArgumentValueError(
            f'--top: {namespace.top} is no number of rows.', recommendation='Give a number of rows, or 0 for all.'
        )
    cmd.cli_ctx.output.top = namespace.top


def validate_rows(cmd: AzCliCommand, namespace: Namespace) -> None:
    validate_top(cmd, namespace)
    del namespace.top


def validate_filter(namespace: Namespace) -> None:
    from .policy.flags import filter_scope

    _all('--filter', namespace.filter, filter_scope, "Give REPOSITORY_REGEX:TAG_REGEX, such as '.*:.*' for all tags.")


def validate_match(namespace: Namespace) -> None:
    from .policy.flags import glob_scope

    _all('--match', namespace.match, glob_scope, "Give repository:tag, such as 'team-a/**:pr-*'.")


def validate_exclude(namespace: Namespace) -> None:
    from .policy.flags import glob_scope

    _all('--exclude', namespace.exclude, glob_scope, "Give repository:tag, such as '**:latest'.")


def validate_keep_per(namespace: Namespace) -> None:
    from .policy.flags import parse_keep_per

    _all('--keep-per', namespace.keep_per, parse_keep_per, "Give N:REGEX, such as '3:^(?P<branch>.+)-[0-9]+$'.")


def validate_include(namespace: Namespace) -> None:
    """What is included are manifests, which go only where manifests may."""
    if not namespace.include:
        return
    namespace.include = sorted(set(map(str, namespace.include)))
    takes_tags = getattr(namespace, 'filter', None) or getattr(namespace, 'match', None)
    if takes_tags and not (namespace.untagged or namespace.untagged_only):
        raise RequiredArgumentMissingError(
            '--include takes manifests, and only tags would be removed.',
            recommendation='Give --untagged, or --untagged-only.',
        )


def validate_tag_selection(namespace: Namespace) -> None:
    """`tags` needs to be told which tags, and how old or how many: all tags of a day ago are nobody's wish."""
    if namespace.untag_only and (namespace.untagged or namespace.untagged_only):
        raise MutuallyExclusiveArgumentError(
            '--untag-only removes tags alone, --untagged deletes manifests.', recommendation='Give one of them.'
        )
    if namespace.untagged_only:
        return
    if not namespace.filter and not namespace.match:
        raise RequiredArgumentMissingError(
            'Nothing says which tags may go.',
            recommendation="Select them with --filter 'REPOSITORY_REGEX:TAG_REGEX' or --match 'repository:tag'.",
        )
    if (
        namespace.ago is None
        and namespace.before is None
        and namespace.pulled_within is None
        and not (namespace.keep or namespace.keep_semver or namespace.keep_per)
    ):
        raise RequiredArgumentMissingError(
            'Nothing says how old or how many.',
            recommendation='Give --ago, or the number of tags that stay with --keep, --keep-semver or --keep-per.',
        )


def validate_plan_selection(namespace: Namespace) -> None:
    given = [name for name in _SELECTING if getattr(namespace, name)]
    if namespace.keep_untagged is not None:  # 0 says something, too
        given.append('keep_untagged')
    if namespace.policy_file and given:
        raise MutuallyExclusiveArgumentError(
            f'--policy says what may go, and so does --{given[0].replace("_", "-")}.',
            recommendation='Give a policy file or options.',
        )


def validate_validate(namespace: Namespace) -> None:
    if namespace.validate and namespace.dry_run:
        raise MutuallyExclusiveArgumentError(
            '--validate looks at what a run left, and --dry-run leaves all as it is.',
            recommendation="Leave out one of them, or use 'az acr prune check -r REGISTRY'.",
        )


def validate_images(namespace: Namespace) -> None:
    from .decide.named import parse_image

    names = _all('--image', namespace.images, parse_image, 'Give repository:tag or repository@sha256:digest.')
    if getattr(namespace, 'untag', False) and any(name.tag is None for name in names):
        raise InvalidArgumentValueError(
            '--untag: a digest names no tag that could be removed.', recommendation='Give repository:tag.'
        )
    namespace.images = names


def validate_preview_tag(namespace: Namespace) -> None:
    """A tag of our own namespace, for the manifest that it is on is deleted; with the digest of an artifact perhaps."""
    from .policy.service import OWN_NAMESPACE

    reference = namespace.preview_tag
    shape = rf'{OWN_NAMESPACE}/[a-z0-9-]+:[a-z0-9-]+\.preview(?:@sha256:[0-9a-f]{{64}})?'
    if reference is not None and not re.fullmatch(shape, reference):
        raise InvalidArgumentValueError(
            f"--preview-tag: '{reference}' is not the tag of a schedule.",
            recommendation="Give a tag such as 'acrprune/schedules:nightly.preview'.",
        )


def validate_alias(namespace: Namespace) -> None:
    for host in namespace.alias or ():
        if not _HOST.match(host):
            raise InvalidArgumentValueError(
                f"--alias: '{host}' is not the name of a host.",
                recommendation="Give a domain such as 'images.contoso.com'.",
            )


def validate_pins_from(namespace: Namespace) -> None:
    from .pins.live import parse_system

    _all('--pins-from', namespace.pins_from, parse_system, 'Give a system such as kubectl or aks:mycluster.')


def validate_lock_timeout(namespace: Namespace) -> None:
    """`30m` -> seconds."""
    if namespace.lock_timeout is not None:
        advice = 'Give a duration such as 30m, or 0 to wait for nobody.'
        seconds = _all('--lock-timeout', [namespace.lock_timeout], parse_ago, advice)[0]
        namespace.lock_timeout = min(seconds, _LONGEST_TIME_LIMIT_SECONDS)


def validate_restore(namespace: Namespace) -> None:
    """One source, and from an archive either all of it or what is asked for."""
    asked = [name for name in ('images', 'repository', 'since', 'journal') if getattr(namespace, name)]
    if sum(map(bool, (namespace.archive, namespace.soft_deleted, namespace.retired))) != 1:
        raise RequiredArgumentMissingError(
            'Restore from where?',
            recommendation='Give --archive, --soft-deleted for a registry that has soft delete on, or --retired for '
            'what a policy retired; one of them.',
        )
    if namespace.archive and bool(asked) == namespace.everything:
        raise RequiredArgumentMissingError(
            'Restore what?', recommendation='Give --all, or any of --image, --repository, --since and --journal.'
        )
    if namespace.soft_deleted and namespace.everything:
        raise MutuallyExclusiveArgumentError(
            '--all belongs to --archive.', recommendation='Leave it out: all that a run deleted is restored.'
        )
    if namespace.retired and set(asked) - {'images'}:
        raise MutuallyExclusiveArgumentError(
            f'--{next(name for name in asked if name != "images")} does not go with --retired.',
            recommendation='Name images with --image, or leave it out for all that was retired.',
        )
    if namespace.from_registry and not namespace.archive:
        raise RequiredArgumentMissingError('--from-registry belongs to --archive.', recommendation='Give both.')


def validate_shown_image(namespace: Namespace) -> None:
    if namespace.images:
        validate_images(namespace)


def validate_asked_images(namespace: Namespace) -> None:
    from .decide.asked import parse_asked_image

    advice = 'Give repository:tag, a pattern of it such as team-a/**:v*, or repository@sha256:0123456.'
    namespace.images = _all('--image', namespace.images, parse_asked_image, advice) or None


def validate_lock_until(namespace: Namespace) -> None:
    from .decide.asked import ahead_of, in_ticks

    if namespace.lock_until is not None:
        advice = 'Give a time from now on such as 30d, or a date that is to come. --lock alone has no end.'
        _all('--lock-until', [namespace.lock_until], lambda text: ahead_of(text, in_ticks(time.time())), advice)


def validate_since(namespace: Namespace) -> None:
    from .decide.asked import in_ticks, since_of

    if namespace.since is not None:
        advice = 'Give an age such as 7d, or a date that has come.'
        _all('--since', [namespace.since], lambda text: since_of(text, in_ticks(time.time())), advice)


def validate_asked_repositories(namespace: Namespace) -> None:
    from .policy.patterns import repository_glob

    _all('--repository', namespace.repository, repository_glob, 'Give names or patterns, such as team-a/**.')


def validate_taken_images(namespace: Namespace) -> None:
    from .decide.named import parse_image

    names = _all(
        '--image', namespace.images, parse_image, 'Give repository:tag or repository@sha256:0123456, or longer.'
    )
    namespace.images = names or None


def _all(option: str, texts: Iterable[str] | None, parse: Callable[[str], Parsed], advice: str) -> list[Parsed]:
    """What the texts mean; the first that means nothing is an error of its option."""
    try:
        return [parse(str(text)) for text in texts or ()]
    except ValueError as error:
        raise InvalidArgumentValueError(f'{option}: {error}.', recommendation=advice) from error
