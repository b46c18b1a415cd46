"""What the author of a policy or of pins should know: what has no effect as written, and what is bolder than usual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..model import CATALOG_FORBIDDEN, UNREAD_REPOSITORY, Inventory, Notice, Repository, registry_name
from ..pins.pinned import Pin, Pins
from ..policy.facts import CHANGED, STILL_RETIRED
from ..policy.patterns import Pattern
from ..policy.rules import KEEP, PERCENT_WITHOUT_A_QUESTION, Policy, RuleScope
from .graph import user_tags
from .reasons import UNRANKED
from .verdicts import Verdict

UNUSED_PATTERN = 'unusedPattern'
WITHOUT_RANK = 'withoutRank'
LOOSER_LIMIT = 'looserLimit'
NO_LOG = 'noLogOfPulls'
LEFT_RETIRED = 'leftRetired'
IDLE_PATTERN = 'idlePattern'


Verdicts = Mapping[str, Mapping[str, Verdict]]


def remarks(policy: Policy, inventory: Inventory, tags: Verdicts, manifests: Verdicts) -> tuple[Notice, ...]:
    """Notices in stable order; `tags` and `manifests` are the verdicts on these, by repository."""
    return (
        *_looser(policy),
        *_unheard(policy),
        *_left(policy, inventory),
        *_unused(policy, inventory),
        *_idle(policy, inventory),
        *_unranked(tags),
        *_unranked_without_tags(inventory, manifests),
    )


def _looser(policy: Policy) -> Iterator[Notice]:
    for text in policy.loosened:
        yield Notice(LOOSER_LIMIT, f'The policy is bolder for this registry than for all: {text}.')
    percent = policy.limits.percent
    if percent is not None and percent > PERCENT_WITHOUT_A_QUESTION:
        yield Notice(
            LOOSER_LIMIT,
            f'The policy lets {percent:g} percent of the tagged manifests of a repository go (limits.maxPercent). '
            f'{PERCENT_WITHOUT_A_QUESTION} percent is the limit of runs that ask no question.',
        )


def _unheard(policy: Policy) -> Iterator[Notice]:
    if policy.retires and not policy.facts.has_log:
        yield Notice(
            NO_LOG,
            'No log of pulls is asked, so that nobody learns whether a pull of something retired fails. Name the '
            "workspace with --workspace, or under 'facts' in the policy.",
        )


def _left(policy: Policy, inventory: Inventory) -> Iterator[Notice]:
    """What was retired stays so where no rule retires any more, and pulls of it fail without end."""
    states = [retired.state for found in policy.facts.retired.values() for retired in found.values()]
    left = sum(state in (STILL_RETIRED, CHANGED) for state in states)
    if left and not policy.retires:
        name = registry_name(inventory.registry)
        yield Notice(
            LEFT_RETIRED,
            f'{left} manifest{"" if left == 1 else "s"} that this program retired cannot be pulled, and no rule '
            f"retires any more. 'az acr prune restore -r {name} --retired' lets pulls through again.",
        )


def _unused(policy: Policy, inventory: Inventory) -> Iterator[Notice]:
    """Whatever protects or keeps, and matches nothing that there is: a typing error would let go what it means.

    That is only known of a registry that was read whole.
    """
    if not inventory.complete or inventory.late:
        return
    for protection in policy.protections:
        if not any(_has_any(protection.scope, repository) for repository in inventory.repositories):
            yield _nothing(protection.text)
    for digest in sorted(policy.digests):
        if not any(digest in repository.manifests for repository in inventory.repositories):
            yield _nothing(f'protect.digests {digest}')
    for rule in policy.rules:
        if rule.action == KEEP:
            for scope in rule.match.scopes:
                for pattern in _unused_in(scope, inventory):
                    yield _nothing(f"'{pattern.text}' in the rule '{rule.name}'")
        elif rule.match.excepting:
            for scope in rule.match.excepting.scopes:
                for pattern in _unused_in(scope, inventory):
                    yield _nothing(f"'{pattern.text}' under 'not' in the rule '{rule.name}'")


def _idle(policy: Policy, inventory: Inventory) -> Iterator[Notice]:
    """Whatever selects what may go, and matches nothing: a typing error looks like a clean registry.

    Repositories that were not read may have it.
    """
    if inventory.late or any(warning.code in (UNREAD_REPOSITORY, CATALOG_FORBIDDEN) for warning in inventory.warnings):
        return
    names = [repository.name for repository in inventory.repositories]
    for pattern in policy.repositories:
        if not any(map(pattern.matches, names)):
            yield _takes_nothing(f"--repository '{pattern.text}'")
    for rule in policy.rules:
        for scope in rule.match.scopes if rule.action != KEEP else ():
            typed = not rule.name and _said(scope)  # where nothing was, an empty registry is no typing error
            if typed and not any(_has_any(scope, repository) for repository in inventory.repositories):
                yield _takes_nothing(f"'{_said(scope)}' of --filter or --match")
            for pattern in _unused_in(scope, inventory) if rule.name else ():
                yield _takes_nothing(f"'{pattern.text}' in the rule '{rule.name}'")


def _said(scope: RuleScope) -> str:
    return ':'.join(pattern.text for pattern in (*scope.repositories, *scope.tags))


def _takes_nothing(what: str) -> Notice:
    return Notice(IDLE_PATTERN, f'{what} matches nothing in the registry.')


def _nothing(what: str) -> Notice:
    return Notice(UNUSED_PATTERN, f'{what} matches nothing in the registry, so that it keeps nothing.')


def _has_any(scope: RuleScope, repository: Repository) -> bool:
    return scope.has_repository(repository.name) and (
        not scope.tags or any(scope.has_tag(tag) for tag in _tags_in(repository))
    )


def _unused_in(scope: RuleScope, inventory: Inventory) -> Iterator[Pattern]:
    names = [repository.name for repository in inventory.repositories]
    yield from (pattern for pattern in scope.repositories if not any(map(pattern.matches, names)))
    tags = [
        tag
        for repository in inventory.repositories
        if scope.tags and scope.has_repository(repository.name)
        for tag in _tags_in(repository)
    ]
    yield from (pattern for pattern in scope.tags if not any(map(pattern.matches, tags)))


def _tags_in(repository: Repository) -> Iterator[str]:
    return (tag for manifest in repository.manifests.values() for tag in user_tags(manifest))


def _unranked_without_tags(inventory: Inventory, manifests: Verdicts) -> Iterator[Notice]:
    untagged = {
        repository.name: {
            digest: manifests[repository.name][digest]
            for digest, manifest in repository.manifests.items()
            if not user_tags(manifest)
        }
        for repository in inventory.repositories
    }
    for rule, names in _names_of_unranked(untagged, '@').items():
        many = len(names) != 1
        yield Notice(
            WITHOUT_RANK,
            f"{len(names)} image{'s' if many else ''} without a tag that the rule '{rule}' cannot rank "
            f"stay{'' if many else 's'}, such as {names[0]}. 'others: take' in 'keep' says the opposite.",
        )


def _names_of_unranked(verdicts: Verdicts, sign: str) -> dict[str, list[str]]:
    """What has no rank, by rule."""
    found: dict[str, list[str]] = {}
    for repository, of_names in verdicts.items():
        for name, verdict in of_names.items():
            if verdict.reason == UNRANKED:
                found.setdefault(verdict.rule, []).append(f'{repository}{sign}{name}')
    return found


def _unranked(tags: Verdicts) -> Iterator[Notice]:
    for rule, names in _names_of_unranked(tags, ':').items():
        who = f"that the rule '{rule}'" if rule else 'that --keep-semver or --keep-per'
        take = " 'others: take' in 'keep' says the opposite." if rule else ''
        yield Notice(
            WITHOUT_RANK,
            f'{len(names)} tag{"" if len(names) == 1 else "s"} {who} cannot rank, being no version or in no group, '
            f'{"stays" if len(names) == 1 else "stay"}, such as {names[0]}.{take}',
        )


def absent_pins(inventory: Inventory, pins: Pins) -> tuple[Pin, ...]:
    """The pins that are certain to mean this registry and name an image that is not in it.

    A typing error in a pin would let go the image that it means. What could not be read may be there, and so may all
    of a repository that was not looked at.
    """
    known = {repository.name: repository for repository in inventory.repositories}
    late = inventory.late or not inventory.complete
    return tuple(pin for pin in pins.pins if pin.reference.certain and _is_absent(pin, known, bool(late)))


def _is_absent(pin: Pin, known: dict[str, Repository], late: bool) -> bool:
    repository = known.get(pin.reference.repository)
    if repository is None:
        return not late
    if pin.reference.digest is not None:
        return pin.reference.digest not in repository.manifests
    tagged = {tag for manifest in repository.manifests.values() for tag in manifest.tags}
    return pin.reference.tag not in repository.tags and pin.reference.tag not in tagged
