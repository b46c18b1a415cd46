"""Tests of a policy, carried out without a registry: what they expected, what was decided, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..decide.decision import Decision, decide
from ..decide.graph import build_graph, walk
from ..decide.reasons import RELATIONS, RETIRED, TO_RETIRE, sentence_of
from ..decide.verdicts import Verdict
from ..exit_reasons import DONE, FAILED
from ..model import TICKS_PER_SECOND, UNLOCKED, Blob, Content, Inventory, Locks, Manifest, Repository, Tag, time_text
from ..policy.cases import GO, STAY, UNPULLABLE, Case, Described, Expected
from ..policy.facts import STILL_RETIRED, TAKEN_BACK, Facts, Retired
from ..policy.rules import Policy

NOW = 1_800_000_000 * TICKS_PER_SECOND
"""The moment of every test, in ticks: a Friday in January 2027."""

_IMAGE = 'application/vnd.oci.image.manifest.v1+json'
_INDEX = 'application/vnd.oci.image.index.v1+json'
_MANIFEST_BYTES = 500


def tests_document(policy: Policy, cases: Iterable[Case]) -> dict[str, Any]:
    """The outcome of each test as JSON-ready data; one that failed has the chain of decisions behind each surprise."""
    rows = [_row(policy, case) for case in cases]
    failed = sum(not row['passed'] for row in rows)
    return {
        'summary': {'passed': len(rows) - failed, 'failed': failed},
        'tests': rows,
        'exitReason': FAILED if failed else DONE,
    }


def _row(policy: Policy, case: Case) -> dict[str, Any]:
    world = _World(case.images)
    inventory = world.inventory()
    selected = frozenset(policy.selection.select(repository.name for repository in inventory.repositories))
    asked = replace(policy, facts=world.facts(case.log_covers))
    decision = decide(replace(inventory, selected=selected), asked, NOW)
    surprises = [row for expected in case.expected for row in _surprises(decision, world, expected)]
    return {'name': case.name, 'passed': not surprises, 'failures': surprises}


@dataclass(frozen=True)
class _Place:
    """Where an image is: the digest of its manifest, and the tag that a name means, if it means one."""

    repository: str
    digest: str
    tag: str | None


class _World:
    """A registry that has the images of a test."""

    def __init__(self, images: Iterable[Described]) -> None:
        self.places: dict[str, _Place] = {}
        self._manifests: dict[str, dict[str, Manifest]] = {}
        self._tags: dict[str, dict[str, Tag]] = {}
        self._labels: dict[str, Mapping[str, str]] = {}
        self._made = 0
        self._pulled: dict[str, dict[str, int]] = {}
        self._untagged: dict[str, dict[str, int]] = {}
        self._retired: dict[str, dict[str, Retired]] = {}
        for image in images:
            self._add(image)

    def inventory(self) -> Inventory:
        repositories = tuple(
            Repository(name, dict(sorted(manifests.items())), tags=self._tags.get(name, {}))
            for name, manifests in sorted(self._manifests.items())
        )
        return Inventory(
            'registry.test', repositories, frozenset(each.name for each in repositories), labels=self._labels
        )

    def facts(self, log_covers: int | None) -> Facts:
        since = None if log_covers is None else NOW - log_covers * TICKS_PER_SECOND
        return Facts(self._pulled, since, self._untagged, since is not None, retired=self._retired)

    def _add(self, image: Described) -> None:
        parts = [
            self._manifest(image, platform=platform, annotations=image.platform_annotations)
            for platform in image.platforms
        ]
        statements = [
            self._manifest(replace(image, labels={}), platform='unknown/unknown')
            for _ in image.platforms
            if image.attestation
        ]
        subject = self.places[image.subject].digest if image.subject else None
        top = self._manifest(
            image,
            image.platforms[0] if image.platforms and not parts else None,
            image.annotations,
            tuple(part.digest for part in (*parts, *statements)),
            tuple(statement.digest for statement in statements),
            subject,
        )
        tags = self._tags.setdefault(image.repository, {})
        for tag in image.tags:
            moved = NOW - image.moved * TICKS_PER_SECOND
            tags[tag] = Tag(tag, top.digest, time_text(moved), moved, moved)
            self.places[f'{image.repository}:{tag}'] = _Place(image.repository, top.digest, tag)
        for instants, age in ((self._pulled, image.pulled), (self._untagged, image.untagged)):
            if age is not None:
                instants.setdefault(image.repository, {})[top.digest] = NOW - age * TICKS_PER_SECOND
        if image.retired is not None:
            self._retire(image, [top, *parts, *statements], NOW - image.retired * TICKS_PER_SECOND)
        if image.id:
            self.places[image.id] = _Place(image.repository, top.digest, None)

    def _retire(self, image: Described, manifests: Iterable[Manifest], at: int) -> None:
        state = TAKEN_BACK if image.taken_back else STILL_RETIRED
        retired = self._retired.setdefault(image.repository, {})
        retired.update({manifest.digest: Retired(state, at, manifest.tags) for manifest in manifests})

    def _manifest(
        self,
        image: Described,
        platform: str | None,
        annotations: tuple[tuple[str, str], ...] = (),
        children: tuple[str, ...] = (),
        attestations: tuple[str, ...] = (),
        subject: str | None = None,
    ) -> Manifest:
        config = None if children else self._digest()
        blobs = (Blob(config, 1), Blob(self._digest(), max(0, image.size - _MANIFEST_BYTES - 1))) if config else ()
        if config:
            self._labels[config] = image.labels or {}
        top = bool(children) or not image.platforms
        created, updated = (NOW - age * TICKS_PER_SECOND for age in (image.created, image.updated))
        manifest = Manifest(
            self._digest(),
            Content(_MANIFEST_BYTES, children, subject, blobs, config, annotations, attestations=attestations),
            image.tags if top else (),
            image.media_type if top and image.media_type else _INDEX if children else _IMAGE,
            image.artifact_type if top else None,
            time_text(created),
            time_text(updated),
            created,
            updated,
            image.size,
            platform,
            Locks(delete_enabled=False) if top and image.locked else UNLOCKED,
            image.quarantine if top else None,
        )
        self._manifests.setdefault(image.repository, {})[manifest.digest] = manifest
        return manifest

    def _digest(self) -> str:
        self._made += 1
        return f'sha256:{self._made:064x}'


def _surprises(decision: Decision, world: _World, expected: Expected) -> Iterator[dict[str, Any]]:
    place = world.places[expected.name]
    verdict, left = _found(decision, place)
    outcome = GO if not verdict.kept and not left else UNPULLABLE if verdict.reason in (TO_RETIRE, RETIRED) else STAY
    wanted = (STAY, UNPULLABLE) if expected.outcome == STAY else (expected.outcome,)
    if outcome in wanted and expected.rule in (None, _rule_of(decision, place, verdict)):
        return
    by = f" by the rule '{expected.rule}'" if expected.rule else ''
    yield {
        'image': expected.name,
        'expected': f'{expected.outcome}{by}',
        'decided': outcome,
        'rule': _rule_of(decision, place, verdict) or None,
        'chain': [*_chain(decision, place, verdict), *left],
    }


def _found(decision: Decision, place: _Place) -> tuple[Verdict, list[str]]:
    """What was decided of an image or a tag, and what stays of an image that goes."""
    verdicts = decision.verdicts[place.repository]
    tags = decision.tags.get(place.repository, {})
    image = verdicts[place.digest]
    verdict = tags.get(place.tag, image) if place.tag else image
    if verdict.kept:
        return verdict, []
    children = build_graph(next(each for each in decision.inventory.repositories if each.name == place.repository))
    parts = walk([place.digest], lambda digest: children.children.get(digest, ()))
    left = [part for part in parts[1:] if verdicts[part].kept] if not image.kept else []
    return verdict, [f'its part {part} stays: {_why(verdicts[part])}' for part in left]


def _rule_of(decision: Decision, place: _Place, verdict: Verdict) -> str:
    seen: set[str] = set()
    while verdict.reason in RELATIONS and verdict.because not in seen:
        seen.add(verdict.because)
        verdict = decision.verdicts[place.repository][verdict.because]
    return verdict.rule


def _chain(decision: Decision, place: _Place, verdict: Verdict) -> Iterator[str]:
    """One decision after the other, from the tag to what is behind it."""
    if place.tag:
        yield f'tag {place.tag} {"stays" if verdict.kept else "goes"}: {_why(verdict)}'
        verdict = decision.verdicts[place.repository][place.digest]
    digest, seen = place.digest, {place.digest}
    yield f'{digest} {"stays" if verdict.kept else "goes"}: {_why(verdict)}'
    while verdict.reason in RELATIONS and verdict.because not in seen:
        digest = verdict.because
        seen.add(digest)
        verdict = decision.verdicts[place.repository][digest]
        yield f'{digest} {"stays" if verdict.kept else "goes"}: {_why(verdict)}'


def _why(verdict: Verdict) -> str:
    return sentence_of(verdict.kept, verdict.reason, verdict.because)
