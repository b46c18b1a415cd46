"""Does the listing of a repository show all that is there?

A list may leave things out: what has `listEnabled=false`, the eleventh tag of a manifest (Azure/azure-cli#7438), a page
lost to a race, what a replica has not seen yet. What is left out may be a tagged index that needs half of the
repository. So the listing is compared with all else that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..model import Content, Ghost, Manifest, Tag
from .graph import attached_subjects


@dataclass(frozen=True)
class Counted:
    """What is known of a repository beside its manifest listing: its own counts, and its tag listing.

    A count is None where the repository is silent, the tag listing where it was not asked for. `hidden` has the digests
    that were not listed, and are there all the same.
    """

    manifests: int | None = None
    tags: int | None = None
    tag_listing: Mapping[str, Tag] | None = None
    hidden: frozenset[str] = frozenset()


def with_all_tags(manifests: Mapping[str, Manifest], tags: Iterable[Tag]) -> dict[str, Manifest]:
    """The manifests, each with the tags that either listing gives it."""
    names: dict[str, set[str]] = {}
    for tag in tags:
        names.setdefault(tag.digest, set()).add(tag.name)
    found = dict(manifests)
    for digest in names.keys() & found.keys():
        if not names[digest].issubset(found[digest].tags):
            found[digest] = found[digest]._replace(tags=tuple(sorted(names[digest].union(found[digest].tags))))
    return found


def unlisted(manifests: Mapping[str, Manifest], tags: Iterable[Tag], attached: bool = False) -> frozenset[str]:
    """The digests that something names and that are not among the manifests: perhaps they are there, and hidden.

    Those that attachment tags name are among them where `attached` is asked for: signatures may be kept in another
    repository than their images.
    """
    named = {tag.digest for tag in tags}
    for manifest in manifests.values():
        if isinstance(manifest.content, Content):
            named.update(set(manifest.content.children).difference(manifest.content.inlined))
            if manifest.content.subject is not None:
                named.add(manifest.content.subject)
        if attached:
            named.update(attached_subjects(manifest))
    return frozenset(named.difference(manifests))


def unseen(manifests: Mapping[str, Manifest], known: Counted) -> str | None:
    """What is known of a repository and the listing does not account for, None where it accounts for all.

    Nobody knows whether the service counts ghosts, and what it hides. So both are right.
    """
    return next(_unaccounted(manifests, known), None)


def _unaccounted(manifests: Mapping[str, Manifest], known: Counted) -> Iterator[str]:
    listed = len(manifests)
    if known.manifests is not None and known.manifests != listed:
        ghosts = sum(1 for manifest in manifests.values() if isinstance(manifest.content, Ghost))
        if not listed - ghosts - len(known.hidden) <= known.manifests <= listed:
            yield f'the repository counts {known.manifests:,} manifests, and {listed:,} are listed'
    tags = known.tag_listing
    if tags is None:
        return
    for name, tag in tags.items():
        if tag.digest not in manifests:
            yield f'the tag {name} is on {tag.digest}, which is not listed'
    names = set(tags)
    for digest, manifest in manifests.items():
        for name in manifest.tags:
            names.add(name)
            if digest not in known.hidden and (name not in tags or tags[name].digest != digest):
                yield f'the tag {name} is listed with {digest}, and not in the list of tags'
    if known.tags is not None and not len(tags) <= known.tags <= len(names):
        yield f'the repository counts {known.tags:,} tags, and {len(names):,} are listed'
