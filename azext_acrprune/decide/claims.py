"""Which rule claims a tag or a manifest.

Where a property cannot be read, no claim is certain, and nothing goes because of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from ..model import TICKS_PER_SECOND, Content, Ghost, Manifest, NotRead, Repository, Tag, Unreadable
from ..policy.rules import CREATED, PARTIAL, Age, Match, Policy, Rule
from .graph import Graph, missing_children

Labels = Mapping[str, Mapping[str, str]]
"""Labels of image configs, by digest of the config."""


@dataclass(frozen=True)
class Place:
    """One repository, with all that a rule may ask about it. `now` is in ticks.

    `present` are the digests of all manifests that exist in the registry; None where that is not known.
    """

    repository: Repository
    graph: Graph
    labels: Labels
    now: int
    present: AbstractSet[str] | None = None


class Claim(NamedTuple):
    """The rule that claims something, or None. It is not `certain` when something that it asks for was not read."""

    rule: Rule | None = None
    certain: bool = True


def claims_on_untagged(policy: Policy, repository: str) -> list[Claim]:
    """A claim for each rule that may match untagged manifests of this repository, in order of the policy."""
    return [Claim(rule) for rule in policy.rules if _covers_untagged(rule.match, repository)]


def claim_on_manifest(claims: Iterable[Claim], place: Place, manifest: Manifest) -> Claim:
    """The claim of the first rule that matches the manifest. Without such a rule, a claim without a rule."""
    for claim in claims:
        holds = _has_properties(claim.rule.match, place, manifest)
        if holds is not False:
            return claim if holds else Claim(claim.rule, certain=False)
    return Claim()


def claim_on_tag(policy: Policy, place: Place, manifest: Manifest, tag: str) -> Claim:
    """The claim of the first rule that matches this tag and its manifest."""
    covering = (Claim(rule) for rule in policy.rules if _covers_tag(rule.match, place.repository.name, tag))
    return claim_on_manifest(covering, place, manifest)


def _covers_tag(match: Match, repository: str, tag: str) -> bool:
    return match.tagged is not False and any(
        scope.has_repository(repository) and scope.has_tag(tag) for scope in match.scopes
    )


def _covers_untagged(match: Match, repository: str) -> bool:
    return match.tagged is not True and any(
        not scope.tags and scope.has_repository(repository) for scope in match.scopes
    )


def _has_properties(match: Match, place: Place, manifest: Manifest) -> bool | None:
    """Whether a manifest has every property that is asked for; None when that cannot be known."""
    if not match.asks_for_properties:
        return True
    if any(
        wanted and value not in wanted
        for wanted, value in (
            (match.media_types, manifest.media_type),
            (match.artifact_types, manifest.artifact_type),
            (match.platforms, manifest.platform),
        )
    ):
        return False
    answers = [*_annotated(match, manifest), *_labelled(match, place, manifest), *_sized(match, place, manifest)]
    if False in answers:
        return False
    return None if None in answers else True


def _annotated(match: Match, manifest: Manifest) -> Iterator[bool | None]:
    if match.annotations:
        known = isinstance(manifest.content, Content)
        yield set(match.annotations) <= set(manifest.content.annotations) if known else None


def _labelled(match: Match, place: Place, manifest: Manifest) -> Iterator[bool | None]:
    """Whether each image has the labels that are asked for. An index counts by all of its images."""
    if match.labels:
        for image in _images_of(place, manifest):
            labels = _labels_of(place, image)
            yield None if labels is None else set(match.labels) <= set(labels.items())


def _images_of(place: Place, manifest: Manifest) -> list[Manifest]:
    children = place.graph.children.get(manifest.digest, ())
    return [place.repository.manifests[child] for child in children] or [manifest]


def _labels_of(place: Place, image: Manifest) -> Mapping[str, str] | None:
    """The labels in the config of an image; None when they were not read."""
    if not isinstance(image.content, Content):
        return None
    return place.labels.get(image.content.config) if image.content.config else {}


def _sized(match: Match, place: Place, manifest: Manifest) -> Iterator[bool | None]:
    if match.at_least is not None or match.at_most is not None:
        size = image_bytes(place, manifest.digest)
        yield (
            None
            if size is None
            else (size >= (match.at_least or 0) and (match.at_most is None or size <= match.at_most))
        )


def image_bytes(place: Place, digest: str) -> int | None:
    """The bytes of an image with all its parts, each blob counted once. None when some part was not read."""
    contents = [place.repository.manifests[part].content for part in place.graph.parts(digest)]
    if any(isinstance(content, (Ghost, Unreadable, NotRead)) for content in contents):
        return None
    blobs = {blob.digest: blob.size for content in contents for blob in content.blobs}
    return sum(blobs.values()) + sum(content.size for content in contents)


def instant_of(thing: Tag | Manifest, age: Age) -> int | None:
    """The instant in ticks from which a rule counts the age of a tag or a manifest."""
    return thing.created_at if age.by == CREATED else thing.updated_at


def counts(policy: Policy, place: Place, manifest: Manifest) -> bool:
    """Whether a manifest may be one of the images that `keep` counts. A ghost is no image.

    An index without all its children counts too, unless `--include partial` asks for such indexes to go.
    """
    if isinstance(manifest.content, Ghost):
        return False
    return PARTIAL not in policy.include or not missing_children(place.repository, manifest.digest)


def age_is_over(instant: int | None, seconds: int, now: int) -> bool:
    """Whether something is older than `seconds`; `instant` and `now` are ticks.

    Something without a readable time, or with a time in the future, is young.
    """
    if instant is None or instant > now:
        return False
    return now - instant >= seconds * TICKS_PER_SECOND
