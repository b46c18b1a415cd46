"""Which rule claims a tag or a manifest.

Where a property cannot be read, no claim is certain, and nothing goes because of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from ..model import TICKS_PER_SECOND, Content, Ghost, Manifest, Repository, Tag, Unreadable
from ..policy.facts import Facts
from ..policy.patterns import is_like
from ..policy.rules import CREATED, KEEP, PARTIAL, Age, Match, Policy, Rule, Settling
from .graph import Graph, missing_children, user_tags, walk
from .manifests import has_no_edges

Labels = Mapping[str, Mapping[str, str]]
"""Labels of image configs, by digest of the config."""

_UNKNOWN_PLATFORM = 'unknown/unknown'


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
    facts: Facts = Facts()

    def came_back(self, digest: str, tag: str | None = None) -> int | None:
        """When something came back that had been deleted, in ticks; None for anything else."""
        return self.facts.came_back.get((self.repository.name, digest, tag))


class Claim(NamedTuple):
    """The rule that claims something, or None. It is not `certain` when something that it asks for was not read."""

    rule: Rule | None = None
    certain: bool = True


def claims_on_untagged(policy: Policy, repository: str) -> list[Claim]:
    """A claim for each rule that may match untagged manifests of this repository, in order of the policy."""
    return [Claim(rule) for rule in policy.rules if _covers_untagged(rule.match, repository)]


def claim_on_manifest(claims: Iterable[Claim], place: Place, manifest: Manifest) -> Claim:
    """The first of these claims by a rule that matches a manifest without user tags."""
    return _first(claims, place, manifest, None)


def claim_on_tag(policy: Policy, place: Place, manifest: Manifest, tag: str) -> Claim:
    """The claim of the first rule that matches this tag and its manifest."""
    covering = (Claim(rule) for rule in policy.rules if _covers_tag(rule.match, place.repository.name, tag))
    return _first(covering, place, manifest, tag)


def keeps_as_a_part(claim: Claim) -> bool:
    """Whether a claim on a part of an image, or on what refers to one, is by a rule that asks for that to be kept.

    A rule that only says where something is, or that it has no tag, means images, and not what they consist of.
    """
    rule = claim.rule
    return rule is not None and rule.action == KEEP and rule.match.describes_images


def _first(claims: Iterable[Claim], place: Place, manifest: Manifest, tag: str | None) -> Claim:
    for claim in claims:
        rule = claim.rule
        if rule is None or not rule.match.asks_for_properties:
            return claim
        holds = _holds(rule, place, manifest, tag)
        if holds is not False:
            return claim if holds else Claim(rule, certain=False)
    return Claim()


def _holds(rule: Rule, place: Place, manifest: Manifest, tag: str | None) -> bool | None:
    """Whether a rule matches what is in its place; None when that cannot be known.

    To keep an index one of its images is enough; to take it, all of them have to be as the rule says.
    """
    match, keeps = rule.match, rule.action == KEEP
    holds = _has_properties(match, place, manifest, keeps)
    if match.excepting is None or holds is False:
        return holds
    excepted = _is_excepted(match.excepting, place, manifest, tag, not keeps)
    if excepted:
        return False
    return None if excepted is None else holds


def _is_excepted(match: Match, place: Place, manifest: Manifest, tag: str | None, one_is_enough: bool) -> bool | None:
    covers = (
        _covers_untagged(match, place.repository.name)
        if tag is None
        else _covers_tag(match, place.repository.name, tag)
    )
    return _has_properties(match, place, manifest, one_is_enough) if covers else False


def _covers_tag(match: Match, repository: str, tag: str) -> bool:
    return match.tagged is not False and any(
        scope.has_repository(repository) and scope.has_tag(tag) for scope in match.scopes
    )


def _covers_untagged(match: Match, repository: str) -> bool:
    return match.tagged is not True and any(
        not scope.tags and scope.has_repository(repository) for scope in match.scopes
    )


def _has_properties(match: Match, place: Place, manifest: Manifest, one_is_enough: bool) -> bool | None:
    """Whether a manifest has every property that is asked for; None when that cannot be known."""
    if not match.describes_images:
        return True
    if match.quarantines and manifest.quarantine not in match.quarantines:
        return False
    return _all(
        (
            _typed(match, place, manifest, one_is_enough),
            _on_platforms(match, place, manifest, one_is_enough),
            _annotated(match, place, manifest, one_is_enough),
            _labelled(match, place, manifest, one_is_enough),
            _sized(match, place, manifest),
        )
    )


def _all(answers: Iterable[bool | None]) -> bool | None:
    found = list(answers)
    if False in found:
        return False
    return None if None in found else True


def _any(answers: Iterable[bool | None]) -> bool | None:
    found = list(answers)
    if True in found:
        return True
    return None if None in found else False


def _typed(match: Match, place: Place, manifest: Manifest, one_is_enough: bool) -> bool | None:
    """Whether the manifest has the types, or one of its images where that is enough."""
    if not (match.media_types or match.artifact_types):
        return True
    images = images_of(place, manifest) if one_is_enough else []
    if any(_has_types(match, each) for each in (manifest, *images)):
        return True
    return None if any(map(_may_have_parts, images)) else False


def _has_types(match: Match, manifest: Manifest) -> bool:
    return (not match.media_types or manifest.media_type in match.media_types) and (
        not match.artifact_types or manifest.artifact_type in match.artifact_types
    )


def _may_have_parts(manifest: Manifest) -> bool:
    """Whether it may be an index with parts that nobody knows."""
    return not isinstance(manifest.content, (Content, Ghost)) and not has_no_edges(manifest.media_type)


def _on_platforms(match: Match, place: Place, manifest: Manifest, one_is_enough: bool) -> bool | None:
    """An index is for the platforms of its images."""
    if not match.platforms:
        return True
    return (_any if one_is_enough else _all)(_is_on(match, image) for image in images_of(place, manifest))


def _is_on(match: Match, image: Manifest) -> bool | None:
    if image.platform is None and _may_have_parts(image):
        return None
    return image.platform in match.platforms


def _annotated(match: Match, place: Place, manifest: Manifest, one_is_enough: bool) -> bool | None:
    """Whether the manifest itself has the annotations, or its images have them."""
    if not match.annotations:
        return True
    own = _has_annotations(match, manifest)
    images = [image for image in images_of(place, manifest) if image is not manifest]
    if not images or own:
        return own
    theirs = (_any if one_is_enough else _all)(_has_annotations(match, image) for image in images)
    return _any((own, theirs))


def _has_annotations(match: Match, manifest: Manifest) -> bool | None:
    if not isinstance(manifest.content, Content):
        return None
    return _has_pairs(match.annotations, dict(manifest.content.annotations))


def _labelled(match: Match, place: Place, manifest: Manifest, one_is_enough: bool) -> bool | None:
    if not match.labels:
        return True
    return (_any if one_is_enough else _all)(_has_labels(match, place, image) for image in images_of(place, manifest))


def _has_labels(match: Match, place: Place, image: Manifest) -> bool | None:
    labels = labels_of(place, image)
    return None if labels is None else _has_pairs(match.labels, labels)


def _has_pairs(wanted: Iterable[tuple[str, str]], given: Mapping[str, str]) -> bool:
    return all(key in given and is_like(given[key], value) for key, value in wanted)


def images_of(place: Place, manifest: Manifest) -> list[Manifest]:
    """The images that an index leads to, through other indexes too, without attestations; else the manifest itself."""
    manifests, children = place.repository.manifests, place.graph.children
    if manifest.digest not in children:
        return [manifest]
    parts = walk([manifest.digest], lambda digest: children.get(digest, ()))
    found = [manifests[part] for part in parts if part not in children and not is_attestation(place, manifests[part])]
    return found or [manifest]


def is_attestation(place: Place, manifest: Manifest) -> bool:
    """Whether it is a statement on an image that BuildKit hangs into its index, as an image for no platform.

    BuildKit says so in the index, by the annotation `vnd.docker.reference.type`.
    """
    if manifest.platform == _UNKNOWN_PLATFORM:
        return True
    above = place.graph.parents.get(manifest.digest, ())
    contents = [place.repository.manifests[each].content for each in above]
    return bool(contents) and all(
        isinstance(content, Content) and manifest.digest in content.attestations for content in contents
    )


def labels_of(place: Place, image: Manifest) -> Mapping[str, str] | None:
    """The labels in the config of an image; None when they were not read."""
    if not isinstance(image.content, Content):
        return None
    return place.labels.get(image.content.config) if image.content.config else {}


def _sized(match: Match, place: Place, manifest: Manifest) -> bool | None:
    if match.at_least is None and match.at_most is None:
        return True
    size = image_bytes(place, manifest.digest)
    if size is None:
        return None
    return size >= (match.at_least or 0) and (match.at_most is None or size <= match.at_most)


def image_bytes(place: Place, digest: str) -> int | None:
    """The bytes of an image with all its parts, each blob counted once. None when some part was not read."""
    blobs: dict[str, int] = {}
    own = 0
    for part in place.graph.parts(digest):
        content = place.repository.manifests[part].content
        if not isinstance(content, Content):
            return None
        own += content.size
        blobs.update((blob.digest, blob.size) for blob in content.blobs)
    return own + sum(blobs.values())


def instant_of(manifest: Manifest, age: Age) -> int | None:
    """The instant that the age of a manifest is counted from, in ticks."""
    return manifest.created_at if age.by == CREATED else manifest.updated_at


def has_aged(place: Place, manifest: Manifest, rule: Rule, seconds: int) -> bool:
    """Whether a manifest is as old as that, and lost its last tag so long ago, where that is known.

    A rule that says itself how long ago that has to be is taken by its word.
    """
    untagged = untagged_at(place, manifest, rule)
    is_over = untagged is None or age_is_over(untagged, seconds, place.now)
    return is_over and age_is_over(instant_of(manifest, rule.age), seconds, place.now)


def untagged_at(place: Place, manifest: Manifest, rule: Rule) -> int | None:
    """When this program took off the last tag of a manifest, in ticks; None where that does not count."""
    if rule.when.untagged_for or user_tags(manifest):
        return None
    return place.facts.untagged.get(place.repository.name, {}).get(manifest.digest)


def instant_of_tag(tag: Tag, manifest: Manifest, age: Age) -> int | None:
    """The instant that the age of a tag is counted from, in ticks.

    By creation it is that of the image, for a tag is older than what it was moved to; but since a tag was moved it
    has to be as old.
    """
    if age.by != CREATED:
        return tag.updated_at
    if tag.updated_at is None or manifest.created_at is None:
        return None
    return max(tag.updated_at, manifest.created_at)


def time_of_tag(tag: Tag, manifest: Manifest, age: Age) -> str:
    """What happened at the instant that the age of a tag is counted from, in words."""
    instant = instant_of_tag(tag, manifest, age)
    if instant is None:
        return 'no readable time'
    if age.by != CREATED:
        return str(tag.last_update_time)
    moved = instant != manifest.created_at
    return f'tagged {tag.last_update_time}' if moved else f'created {manifest.created_time}'


def counts(policy: Policy, place: Place, manifest: Manifest) -> bool:
    """Whether a manifest may be one of the images that `keep` counts. A ghost is no image.

    An index without all its children counts too, unless `--include partial` asks for such indexes to go.
    """
    if isinstance(manifest.content, Ghost) or isinstance(manifest.content, Unreadable) and manifest.content.missing:
        return False
    return PARTIAL not in policy.include or not missing_children(place.repository, manifest.digest)


def is_settling(thing: Tag | Manifest, settling: Settling | None, now: int) -> bool:
    """Whether something was made or changed so lately that another replica may know more of it."""
    if settling is None:
        return False
    instants = [instant for instant in (thing.created_at, thing.updated_at) if instant is not None]
    return not age_is_over(max(instants, default=None), settling.seconds, now)


def age_is_over(instant: int | None, seconds: int, now: int) -> bool:
    """Whether something is older than `seconds`; `instant` and `now` are ticks.

    Something without a readable time, or with a time in the future, is young.
    """
    if instant is None or instant > now:
        return False
    return now - instant >= seconds * TICKS_PER_SECOND
