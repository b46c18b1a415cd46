"""What a policy says otherwise of single registries, and where that is bolder than what it says of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from fnmatch import fnmatchcase
from typing import Any

from .ages import is_date, parse_age
from .rules import CREATED, KEEP, PERCENT_WITHOUT_A_QUESTION, Keep, Policy, Rule, When

REGISTRIES = 'registries'
_JOINED = ('repositories', 'tags', 'images', 'digests')


def keys_for(document: Mapping[str, Any], registry: str) -> tuple[str, ...]:
    """The keys under which something is said of a registry: globs in the order of the file, then its own name."""
    keys = document.get(REGISTRIES, {})
    globs = [key for key in keys if key != registry and fnmatchcase(registry, key)]
    return (*globs, *([registry] if registry in keys else ()))


def overridden(document: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The document with what it says under some keys of registries, the later ones over the earlier; none is for all.

    What is protected is protected beside the rest. Of rules, by name, and of limits each key takes the place of that
    key; all else is replaced as a whole.
    """
    found = {key: deepcopy(value) for key, value in document.items() if key != REGISTRIES}
    for each in keys:
        _override(found, document[REGISTRIES][each])
    return found


def _override(found: dict[str, Any], said: Mapping[str, Any]) -> None:
    for key, value in said.items():
        if key == 'rules':
            found['rules'] = [{**rule, **value.get(rule.get('name'), {})} for rule in found['rules']]
        elif key == 'protect':
            found[key] = _joined(found.get(key, {}), value)
        elif key == 'limits':
            found[key] = {**found.get(key, {}), **value}
        else:
            found[key] = deepcopy(value)


def _joined(protect: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    lists = {key: [*protect.get(key, ()), *more.get(key, ())] for key in _JOINED if key in protect or key in more}
    return {**protect, **more, **lists}


def place_of(document: Mapping[str, Any], keys: Sequence[str], path: Sequence[str]) -> tuple[str, ...] | None:
    """Under which of the keys that says which stands at a path of the overridden document; None where none does."""
    first, *others = path
    if first == 'protect' and len(others) == 2 and others[1].isdigit():
        return _place_in_list(document, keys, others[0], int(others[1]))
    for key in reversed(keys):
        said = document[REGISTRIES][key]
        if first == 'rules' and len(path) > 2:
            name = document['rules'][int(path[1])]['name']
            if path[2] in said.get('rules', {}).get(name, {}):
                return (REGISTRIES, key, 'rules', name, *path[2:])
        elif first in said and first != 'rules':
            return (REGISTRIES, key, *path)
    return None


def _place_in_list(document: Mapping[str, Any], keys: Sequence[str], name: str, number: int) -> tuple[str, ...] | None:
    """Where the item with a number stands of a list of what is protected: those of each key come after the others."""
    number -= len(document.get('protect', {}).get(name, ()))
    for key in keys:
        items = document[REGISTRIES][key].get('protect', {}).get(name, ())
        if 0 <= number < len(items):
            return (REGISTRIES, key, 'protect', name, str(number))
        number -= len(items)
    return None


def loosened(base: Policy, policy: Policy) -> Iterator[str]:
    """What is bolder for one registry than for all, as `limits.maxPercent (80 in place of 20)`."""
    yield from weaker_guards(base, policy)
    for rule, of_all in zip(policy.rules, base.rules):
        yield from _loosened_rule(rule, of_all)


def weaker_guards(base: Policy, policy: Policy) -> Iterator[str]:
    """The guards beside the rules that are weaker in a policy than in another one, in the same words."""
    before, after = base.limits, policy.limits
    if _percent(policy) > _percent(base):
        yield f'limits.maxPercent ({_percent(policy):g} in place of {_percent(base):g})'
    if before.manifests is not None and (after.manifests is None or after.manifests > before.manifests):
        yield f'limits.maxManifests ({after.manifests} in place of {before.manifests})'
    if policy.min_keep < base.min_keep:
        yield f'limits.minKeepPerRepository ({policy.min_keep} in place of {base.min_keep})'
    if policy.include - base.include:
        yield f'include ({", ".join(sorted(policy.include - base.include))} too)'
    if base.pulled and (policy.pulled is None or policy.pulled.seconds < base.pulled.seconds):
        yield f'protect.lastPulled ({policy.pulled.text if policy.pulled else None} in place of {base.pulled.text})'
    if _is_shorter(policy.sources.ran_within, base.sources.ran_within):
        yield f'protect.ran ({policy.sources.ran_within} in place of {base.sources.ran_within})'
    if {*base.sources.paths, *base.sources.systems} - {*policy.sources.paths, *policy.sources.systems}:
        yield 'pins (some are not asked)'
    if {*base.sources.aliases} - {*policy.sources.aliases}:
        yield 'pins.aliases (some are not known)'
    if base.sources.strict and not policy.sources.strict:
        yield 'pins.strict (false in place of true)'
    if {each.text for each in base.kept_locked or ()} - {each.text for each in policy.kept_locked or ()}:
        yield 'lock (something is not kept locked)'
    ignored = _ignored(policy) - _ignored(base)
    if ignored:
        yield f'facts.pulls.ignore ({", ".join(sorted(ignored))} too)'


def _percent(policy: Policy) -> float:
    percent = policy.limits.percent
    return PERCENT_WITHOUT_A_QUESTION if percent is None else percent


def _is_shorter(text: str | None, before: str | None) -> bool:
    """Whether a protection reaches less far back. A date and a duration cannot be compared: that is told too."""
    if before is None or text == before:
        return False
    if text is None or is_date(text) != is_date(before):
        return True
    return text > before if is_date(text) else parse_age(text) < parse_age(before)


def _ignored(policy: Policy) -> set[str]:
    """Whose pulls do not count."""
    log = policy.pull_log
    return {*log.identities, *log.user_agents} if log else set()


def _loosened_rule(rule: Rule, of_all: Rule) -> Iterator[str]:
    if rule.action == KEEP:
        return
    if rule.age.seconds < of_all.age.seconds:
        yield f"when.olderThan of '{rule.name}' ({rule.age.text} in place of {of_all.age.text})"
    if rule.age.by == CREATED and of_all.age.by != CREATED:
        yield f"when.by of '{rule.name}' (created in place of updated)"
    if _is_sooner(rule.when, of_all.when):
        yield f"when of '{rule.name}'"
    if _keeps_less(rule.keep, of_all.keep):
        yield f"keep of '{rule.name}'"
    if of_all.until and rule.until != of_all.until:
        yield f"until of '{rule.name}'"
    if rule.retire_for and of_all.retire_for and rule.retire_for.seconds < of_all.retire_for.seconds:
        yield f"retire of '{rule.name}' ({rule.retire_for.text} in place of {of_all.retire_for.text})"


def _is_sooner(when: When, of_all: When) -> bool:
    """Whether something waits for less, or for other dates."""
    periods = (
        (when.not_pulled_for, of_all.not_pulled_for),
        (when.never_pulled_after, of_all.never_pulled_after),
        (when.untagged_for, of_all.untagged_for),
    )
    sooner = any(before and (after is None or after.seconds < before.seconds) for after, before in periods)
    return sooner or bool(of_all.expired) and when.expired != of_all.expired


def _keeps_less(keep: Keep, of_all: Keep) -> bool:
    """Whether some number is smaller, or something is counted in another way."""
    numbers = (
        (keep.newest, of_all.newest),
        (keep.semver, of_all.semver),
        (keep.recently_pulled, of_all.recently_pulled),
        (keep.per_subject, of_all.per_subject),
    )
    ways = (of_all.groups, of_all.thin, of_all.patched, of_all.count, of_all.of, of_all.others)
    others = (keep.groups, keep.thin, keep.patched, keep.count, keep.of, keep.others)
    return any(after < before for after, before in numbers) or of_all != Keep() and others != ways
