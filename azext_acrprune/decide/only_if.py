"""Deletions of what is broken or left over, and of nothing else: the condition is looked at again before they go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..model import TICKS_PER_SECOND, Content, Ghost, Inventory, Manifest, Repository
from ..pins.pinned import Pins
from ..prune_error import Kind, PruneError
from .decision import Decision
from .ghosts import SECONDS_OF_DOUBT, with_doubtful_ghosts
from .graph import Graph, attached_subjects, build_graph, missing_children, subject_of_tag, user_tags
from .health import Everywhere
from .named import ImageName, Unsettled, decide_images, decide_untag, digest_of, settled

IF_GHOST, IF_ORPHAN, IF_PARTIAL = 'ghost', 'orphan', 'partial'
"""A manifest that is listed and is not there; what is attached to nothing that exists; an index of which nothing is
left."""
CONDITIONS = (IF_GHOST, IF_ORPHAN, IF_PARTIAL)


class NotSo(PruneError):
    """Something named is not, or no longer, what the condition says; the text says why."""

    kind = Kind.REFUSED
    sentence = 'Nothing was deleted: {message}.'
    advice = "See what is wrong now with 'az acr prune check --registry {target}'."


def decide_only_if(
    inventory: Inventory,
    images: Sequence[ImageName],
    condition: str,
    now: int,
    untag: bool = False,
    pins: Pins = Pins(),
    unsettled: Unsettled = settled,
) -> Decision:
    """Delete the named manifests alone, or with `untag` only their tags, if the condition is true of all of them.

    Raises NotSo, NotAnImage, Pinned, Locked and Young. `now` is in ticks.
    """
    certain = with_doubtful_ghosts(inventory, None, now)
    everywhere = Everywhere.of(certain)
    if not everywhere.whole:
        raise NotSo('not the whole registry could be read')
    repositories = {repository.name: repository for repository in certain.repositories}
    for image in images:
        digest = digest_of(image, certain)
        repository = repositories[image.repository]
        why = why_not(repository, digest, condition, everywhere, image.tag if untag else None)
        why = why or why_careful(repository, build_graph(repository), digest, now, untag)
        if why:
            raise NotSo(f'{image.text} {why}')
    decided = (decide_untag if untag else decide_images)(certain, images, pins=pins, unsettled=unsettled)
    return replace(decided, given={**decided.given, 'onlyIf': condition})


def why_not(
    repository: Repository, digest: str, condition: str, everywhere: Everywhere, tag: str | None = None
) -> str | None:
    """Why a condition is not true of a manifest, or of what its `tag` attaches it to; the rest of a sentence."""
    manifest = repository.manifests[digest]
    if condition == IF_GHOST:
        return None if isinstance(manifest.content, Ghost) else 'is no ghost'
    if condition == IF_PARTIAL:
        return (
            None
            if _is_without_all_children(repository, manifest)
            else 'is not an index whose manifests are all missing'
        )
    subjects = [subject_of_tag(manifest, tag)] if tag else _subjects(manifest)
    named = [subject for subject in subjects if subject]
    if not named:
        return 'is attached to nothing'
    there = next((subject for subject in named if everywhere.has_any([subject])), None)
    return f'is attached to {there}, which exists' if there else None


def _is_without_all_children(repository: Repository, manifest: Manifest) -> bool:
    content = manifest.content
    if not isinstance(content, Content) or not content.children or content.blobs or content.unmeasured:
        return False
    return len(missing_children(repository, manifest.digest)) == len(content.children)


def _subjects(manifest: Manifest) -> list[str]:
    own = manifest.content.subject if isinstance(manifest.content, Content) else None
    return [*([own] if own else []), *attached_subjects(manifest)]


def why_careful(repository: Repository, graph: Graph, digest: str, now: int, untag: bool) -> str | None:
    """What makes a manifest too good to go because of what is wrong with it; the rest of a sentence.

    Without a tag of people, without annotations and without anything attached to it, it serves nobody. Where only a
    tag of it goes, it stays, and may have all of these.
    """
    manifest = repository.manifests[digest]
    if _is_young(manifest, now):
        return 'is younger than a day, or has no readable time'
    if untag:
        return None
    tags = user_tags(manifest)
    if tags:
        return f'has the tag {tags[0]}'
    if isinstance(manifest.content, Content) and manifest.content.annotations:
        return 'has annotations, and may be of use by itself'
    attached = [
        *graph.referrers.get(digest, ()),
        *graph.named_by.get(digest, ()),
        *graph.children.get(digest, ()),
        *(ghost for ghost, _ in graph.ghosts.get(digest, ())),
    ]
    return f'would take {attached[0]} along' if attached else None


def _is_young(manifest: Manifest, now: int) -> bool:
    instants = [instant for instant in (manifest.created_at, manifest.updated_at) if instant is not None]
    return not instants or now - max(instants) < SECONDS_OF_DOUBT * TICKS_PER_SECOND
