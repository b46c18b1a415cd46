"""What stays because an image goes whole or not at all: indexes because of their parts, and the last tags of images."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from collections.abc import Set as AbstractSet

from .claims import Claim, Place, keeps_as_a_part
from .graph import user_tags, walk
from .reasons import EXCLUDED, NOT_DUE, QUARANTINED, UNKNOWN, UNREADABLE, YOUNG
from .tags import stays_with_its_image
from .verdicts import Verdict

_WAITING = frozenset({YOUNG, UNREADABLE, UNKNOWN, NOT_DUE, QUARANTINED})
"""Reasons for which an image stays by itself, and its tags with it."""


def still_staying(
    place: Place,
    claims: Mapping[str, Claim],
    roots: Iterable[str],
    verdicts: Mapping[str, Verdict],
    held: Container[str],
) -> tuple[dict[str, Verdict], dict[str, Verdict]]:
    """(verdicts by digest, verdicts by tag) of what stays too, given that `roots` and what they need stay.

    `held` are the digests that such verdicts were given for before.
    """
    subjects = _subjects_of(place, roots)
    return _held_by_parts(place, claims, verdicts, subjects), _staying_tags(place, claims, verdicts, subjects, held)


def _subjects_of(place: Place, roots: Iterable[str]) -> frozenset[str]:
    """What stays because something that refers to it stays by itself, however far."""
    subjects = place.graph.subjects
    first = [subject for root in roots if root in subjects for subject in subjects[root]] if subjects else []
    return frozenset(walk(first, lambda digest: subjects.get(digest, ())))


def _held_by_parts(
    place: Place, claims: Mapping[str, Claim], verdicts: Mapping[str, Verdict], subjects: AbstractSet[str]
) -> dict[str, Verdict]:
    """What stays because of a part that a rule keeps, or that something which refers to it keeps."""
    parents = place.graph.parents
    return {
        parent: Verdict(True, EXCLUDED, f'its part {part} stays', verdicts[part].rule)
        for part in sorted(parents.keys() & verdicts.keys())
        if part in subjects or part in claims and keeps_as_a_part(claims[part])
        for parent in parents[part]
        if parent not in verdicts
    }


def _staying_tags(
    place: Place,
    claims: Mapping[str, Claim],
    verdicts: Mapping[str, Verdict],
    subjects: AbstractSet[str],
    held: Container[str],
) -> dict[str, Verdict]:
    """The last tags of images that stay, where rules delete whole images."""
    return {
        tag: stays_with_its_image(claim.rule, tag, verdicts[digest])
        for digest, claim in claims.items()
        if claim.rule and claim.rule.takes_images and digest in verdicts
        if verdicts[digest].reason in _WAITING or digest in held or digest in subjects
        for tag in user_tags(place.repository.manifests[digest])
    }
