"""A plan document that is read back: what it dooms, and whether it may still be carried out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..decide.decision import Decision
from ..decide.graph import attached_subjects
from ..decide.health import GHOST, Everywhere
from ..decide.named import Unsettled, settled, too_young
from ..decide.reasons import EXCLUDED, TO_RETIRE, UNTAGGED, UPDATED, YOUNG
from ..decide.verdicts import Verdict
from ..model import TICKS_PER_SECOND, Document, Ghost, Inventory, Locks, Manifest, Repository, Tag, parse_ticks
from ..pins.pinned import Pins
from ..policy.facts import STILL_RETIRED, Retired
from ..prune_error import PruneError
from .as_seen import has_more_now, is_readable, quarantine_in, with_time
from .locking import locks_as_planned
from .plan import SCHEMA_VERSION, is_sealed

_KINDS = ('delete', 'untag', 'retire', 'unretire')
_TEXTS = {
    'delete': ('repository', 'digest', 'reason'),
    'untag': ('repository', 'digest', 'tag', 'reason'),
    'warnings': ('code',),
    'retire': ('repository', 'digest', 'rule'),
    'unretire': ('repository', 'digest', 'reason'),
    'deleteLater': ('repository', 'digest'),
    'lock': ('repository', 'because'),
    'unlock': ('repository',),
}
"""What each entry of a plan says in words, by the list that it stands in."""
STATE = 'state'
"""The key of the policy of a plan under which the state is that the policy file named."""
_ALWAYS = ('delete', 'untag', 'warnings')


class PlanRefused(PruneError):
    """The plan must not be carried out. The text says why, in a sentence, and `advice` what to do."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why, advice)


@dataclass(frozen=True)
class Plan:
    """A plan that was read back."""

    document: Document

    @property
    def repositories(self) -> frozenset[str]:
        return frozenset(entry['repository'] for kind in _KINDS for entry in self.document.get(kind, ()))

    @cached_property
    def ghosts(self) -> frozenset[tuple[str, str]]:
        """(repository, digest) of the ghosts that were known when the plan was made. Any other ghost is new."""
        return frozenset(
            (str(warning.get('repository')), str(warning.get('digest')))
            for warning in self.document['warnings']
            if warning['code'] == GHOST
        )

    @property
    def includes_locked(self) -> bool:
        return any('locks' in entry for entry in (*self.document['delete'], *self.document['untag']))

    @property
    def has_orphans(self) -> bool:
        """Whether it takes attachments that had no subject anywhere."""
        return any(map(_is_orphan, self.document['delete']))

    def entries(self, kind: str, repository: str) -> list[Mapping[str, Any]]:
        return [entry for entry in self.document.get(kind, ()) if entry['repository'] == repository]


def read_plan(text: str, registry: str, now: int, max_age_seconds: int | None = None) -> Plan:
    """The plan in a file. Raises PlanRefused; `now` is in ticks.

    It is refused when it is not whole, was edited, is of another schema version or another registry, or too old;
    without `max_age_seconds` any age will do.
    """
    again = "Make a new plan with 'az acr prune plan -r {target} --out plan.json'."
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanRefused('The file is not a whole JSON document.', again) from error
    if not isinstance(document, dict) or document.get('schemaVersion') != SCHEMA_VERSION:
        raise PlanRefused(f'The file is not a plan of schema version {SCHEMA_VERSION}.', again)
    if not is_sealed(document):
        raise PlanRefused('The plan was changed since it was made: its checksum does not match.', again)
    if not _is_whole(document):
        raise PlanRefused('The plan lacks something that every plan has.', again)
    if document['registry'] != registry:
        raise PlanRefused(
            f"The plan is of the registry '{document['registry']}', not of '{registry}'.",
            'Give the registry of the plan with --registry.',
        )
    created = parse_ticks(document.get('createdAt'))
    if created is None or created > now:
        raise PlanRefused('The plan does not say when it was made, or says a time that has not come yet.', again)
    if max_age_seconds is not None and now - created > max_age_seconds * TICKS_PER_SECOND:
        raise PlanRefused('The plan is too old.', f'{again} Or allow its age with --max-age.')
    return Plan(document)


def state_of_plan(text: str) -> str | None:
    """The state that the plan in a file names, where its policy did: it is needed before the plan itself is read."""
    try:
        named = json.loads(text)['policy'].get(STATE)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None  # whoever reads the plan says what is wrong with it
    return named if isinstance(named, str) and named else None


def _is_whole(document: Document) -> bool:
    """Whether a document with a seal that matches has what is looked at here: anybody can seal anything."""
    summary = document.get('summary')
    return (
        all(isinstance(document.get(key), str) for key in ('registry', 'impact'))
        and isinstance(document.get('policy'), dict)
        and isinstance(summary, dict)
        and all(isinstance(summary.get(key), int) for key in ('freedBytes', 'registryBytes'))
        and all(_has_entries(document[key], texts) for key, texts in _TEXTS.items() if key in document)
        and all(key in document for key in _ALWAYS)
    )


def _has_entries(entries: object, texts: Sequence[str]) -> bool:
    """Whether something is a list of entries with these texts, whose tags and locks are lists of texts."""
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and all(isinstance(entry.get(text), str) for text in texts)
        and all(isinstance(each, str) for name in ('tags', 'locks') for each in _listed(entry.get(name, [])))
        and is_readable(entry)
        for entry in entries
    )


def _listed(value: object) -> Iterable[object]:
    """The items of a list; anything else is an item that is no text."""
    return value if isinstance(value, list) else [None]


def decide_as_planned(
    plan: Plan, inventory: Inventory, pins: Pins = Pins(), unsettled: Unsettled = settled
) -> Decision:
    """The decision of a plan over the registry as it is now.

    What the plan names is taken as the plan saw it, so that the check right before deleting finds what changed since.
    That check looks at `pins` too. A planned manifest that is no longer there is a ghost in this decision, and counts
    as done. What is too young to go stays. Repositories that were not read in time are left for the next run.
    """
    here = {repository.name: repository for repository in inventory.repositories}
    everywhere = Everywhere.of(inventory)
    names = sorted({*here, *plan.repositories} - inventory.late)
    present = {name: here.get(name) or Repository(name, {}) for name in names}
    repositories = tuple(_as_planned(plan, repository) for repository in present.values())
    return Decision(
        replace(inventory, repositories=repositories),
        plan.document['policy'],
        {
            repository.name: dict(_verdicts(plan, repository, present, unsettled, everywhere))
            for repository in repositories
        },
        {name: dict(_tag_verdicts(plan, repository, unsettled)) for name, repository in present.items()},
        include_locked=plan.includes_locked,
        pins=pins,
        retires='retire' in plan.document,
        kept_locked=locks_as_planned(plan.document),
        retired={name: dict(_retired(plan, name)) for name in names},
        returning={
            (entry['repository'], entry['digest']): Verdict(True, entry['reason'], str(entry.get('because')))
            for entry in plan.document.get('unretire', ())
        },
    )


def refuse_other_retention(plan: Plan, decision: Decision) -> None:
    """Raise PlanRefused when the registry would delete more by itself than the plan says, or sooner."""
    if decision.retention is None or decision.retention.days is None or not decision.later:
        return
    named = {(entry['repository'], entry['digest']) for entry in plan.document.get('deleteLater', ())}
    days = plan.document['summary'].get('retentionDays')
    if not decision.later <= named or days is not None and days > decision.retention.days:
        raise PlanRefused(
            'The retention policy of the registry was changed since the plan was made: the registry would delete '
            'manifests by itself that the plan does not name, or sooner than it says.',
            "Make a new plan with 'az acr prune plan -r {target} --out plan.json'.",
        )


def _as_planned(plan: Plan, repository: Repository) -> Repository:
    manifests = {
        digest: manifest
        for digest, manifest in repository.manifests.items()
        if not isinstance(manifest.content, Ghost) or (repository.name, digest) in plan.ghosts
    }
    tags: dict[str, Tag] = dict(repository.tags)
    for entry in (*plan.entries('delete', repository.name), *plan.entries('retire', repository.name)):
        known = manifests.get(entry['digest']) or Manifest(entry['digest'], Ghost())
        content = Ghost() if (repository.name, known.digest) in plan.ghosts else known.content
        manifests[known.digest] = known._replace(
            content=content,
            tags=tuple(entry.get('tags', ())),
            last_update_time=entry.get('lastUpdateTime'),
            locks=replace(_locks(entry, 'manifest'), read_enabled='retiredTime' not in entry),
            quarantine=quarantine_in(entry),
        )
        for tag in entry.get('tags', ()):
            tags[tag] = with_time(_tag(tags, tag, entry), entry)
    for entry in plan.entries('untag', repository.name):
        tags[entry['tag']] = _tag(tags, entry['tag'], entry)._replace(last_update_time=entry.get('lastUpdateTime'))
        if entry['digest'] in manifests:
            locks, quarantine = _locks(entry, 'manifest'), quarantine_in(entry)
            manifests[entry['digest']] = manifests[entry['digest']]._replace(locks=locks, quarantine=quarantine)
    holders = {entry['tag']: entry['digest'] for entry in plan.entries('untag', repository.name)}
    for digest in {*manifests, *holders.values()}:
        known = manifests.get(digest) or Manifest(digest, Ghost())
        here = {
            *(tag for tag in known.tags if tag not in holders),
            *(tag for tag, holder in holders.items() if holder == digest),
        }
        manifests[digest] = known._replace(tags=tuple(sorted(here)))
    return replace(repository, manifests=manifests, tags=tags)


def _tag(tags: Mapping[str, Tag], name: str, entry: Mapping[str, Any]) -> Tag:
    known = tags.get(name) or Tag(name, entry['digest'])
    return known._replace(digest=entry['digest'], locks=_locks(entry, f'tag {name}'))


def _locks(entry: Mapping[str, Any], what: str) -> Locks:
    """The locks that the plan saw on `what`, which is `manifest` or `tag NAME`."""
    given = (text.rpartition(' ') for text in entry.get('locks', ()))
    return Locks.from_flags([flag for locked, _, flag in given if locked == what])


def _retired(plan: Plan, repository: str) -> Iterator[tuple[str, Retired]]:
    for entry in plan.entries('delete', repository):
        if 'retiredTime' in entry:
            yield entry['digest'], Retired(STILL_RETIRED, parse_ticks(entry['retiredTime']) or 0)


def _tag_verdicts(plan: Plan, here: Repository, unsettled: Unsettled) -> Iterator[tuple[str, Verdict]]:
    """Verdicts on the tags that the plan takes, in a repository as it is now."""
    for entry in plan.entries('untag', here.name):
        thing = here.tags.get(entry['tag']) or here.manifests.get(entry['digest'])
        yield entry['tag'], _planned_verdict(entry, thing and unsettled(thing))


def _planned_verdict(entry: Mapping[str, Any], why: str | None) -> Verdict:
    """The verdict of the plan, unless something is still there and too young to go: `why` says so."""
    return Verdict(True, YOUNG, why) if why else Verdict(False, entry['reason'], str(entry.get('because')))


def _whole_now(entry: Mapping[str, Any], here: Repository) -> Verdict | None:
    """Why an index stays that went because of what it lacked."""
    return Verdict(True, UPDATED, 'some of what it lacked is there now') if has_more_now(entry, here) else None


def _is_orphan(entry: Mapping[str, Any]) -> bool:
    """Whether a plan takes something as untagged that has tags: those of an attachment alone."""
    return entry['reason'] == UNTAGGED and bool(entry.get('tags'))


def _with_subject_now(entry: Mapping[str, Any], here: Repository, everywhere: Everywhere) -> Verdict | None:
    """Why an attachment stays that went because it had no subject anywhere."""
    if not _is_orphan(entry) or entry['digest'] not in here.manifests:
        return None
    if not everywhere.whole:
        return Verdict(True, UPDATED, 'its subject may be in a repository that was not read')
    there = everywhere.has_any(attached_subjects(here.manifests[entry['digest']]))
    return Verdict(True, UPDATED, 'its subject is there now') if there else None


def _verdicts(
    plan: Plan, repository: Repository, present: Mapping[str, Repository], unsettled: Unsettled, everywhere: Everywhere
) -> Iterator[tuple[str, Verdict]]:
    here = present[repository.name]
    doomed = {}
    for entry in plan.entries('delete', repository.name):
        digest = entry['digest']
        why = too_young(here, digest, unsettled) if digest in here.manifests else None
        changed = _whole_now(entry, here) or _with_subject_now(entry, here, everywhere)
        doomed[digest] = changed or _planned_verdict(entry, why)
    doomed.update(
        {
            entry['digest']: Verdict(True, TO_RETIRE, str(entry.get('because')), entry['rule'])
            for entry in plan.entries('retire', repository.name)
        }
    )
    untagged: set[str] = {entry['digest'] for entry in plan.entries('untag', repository.name)}
    for digest in sorted(repository.manifests):
        why = 'only tags are removed' if digest in untagged else 'not in the plan'
        yield digest, doomed.get(digest) or Verdict(True, EXCLUDED, why)
