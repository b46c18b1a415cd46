"""The decision for one image: what claims it, what keeps it, what goes with it, and who shares its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from ..decide.decision import Decision
from ..decide.ghosts import doubted_anew
from ..decide.graph import build_graph
from ..decide.impact import Ledger, kind_of_freed, open_ledger
from ..decide.manifests import STREAMING_TYPE
from ..decide.named import Alone, Fallout, ImageName, Unsettled, digest_of
from ..decide.reasons import RELATIONS, TAGGED, sentence_of
from ..decide.verdicts import Verdict
from ..model import BOUNDS, Content, Manifest, Repository, in_order
from .staying import staying_rows, staying_sentence

_USERS_SHOWN = 10


def explain(decision: Decision, image: ImageName, now: int, unsettled: Unsettled = lambda _: None) -> dict[str, Any]:
    """The explanation as JSON-ready data; `now` is in ticks. Raises NotAnImage.

    `goesWith` has the manifests that would fall if this image alone were deleted, `staysWith` those that hang on it and
    would stay, and `uniqueBytes` what that would free: 0 where the image itself stays. `sharedBytes` is the rest of
    `storedBytes`, which are the bytes of all that goes, or of the image that stays.
    """
    digest = digest_of(image, decision.inventory)
    repository = next(each for each in decision.inventory.repositories if each.name == image.repository)
    manifest, verdict = repository.manifests[digest], decision.verdicts[repository.name][digest]
    alone, ledger = _alone(decision, repository.name, digest, now, unsettled)
    fallen = sorted(alone.goes)
    nodes = [(repository.name, each) for each in fallen]
    layers = list(_layers(decision, repository, digest, ledger.freed_by(nodes)))
    holding = ledger.holding_alone((repository.name, digest), nodes)
    document = {
        'image': image.text,
        'repository': repository.name,
        'digest': digest,
        'tags': [_tag(decision, repository, tag) for tag in manifest.tags],
        'mediaType': manifest.media_type,
        'lastUpdateTime': manifest.last_update_time,
        'decision': 'keep' if verdict.kept else 'delete',
        'reason': verdict.reason,
        'because': verdict.because,
        'rule': verdict.rule or None,
        'keptBy' if verdict.kept else 'goesAfter': _chain(decision, repository, verdict),
        'goesWith': [each for each in fallen if each != digest],
        'staysWith': staying_rows(alone.stays),
        'streamingCopies': _streaming_copies(repository, digest),
        'impact': kind_of_freed(decision.inventory, ledger, nodes),
        'storedBytes': holding.stored,
        'uniqueBytes': holding.unique,
        'sharedBytes': holding.shared,
        'layers': layers,
    }
    return {'explanation': _sentence(repository, manifest, verdict, document), **document}


def _streaming_copies(repository: Repository, digest: str) -> list[str]:
    """The copies that artifact streaming made of an image or of its parts."""
    graph = build_graph(repository)
    referrers = {each for part in graph.parts(digest) for each in graph.referrers.get(part, ())}
    return sorted(each for each in referrers if repository.manifests[each].artifact_type == STREAMING_TYPE)


def _alone(decision: Decision, repository: str, digest: str, now: int, unsettled: Unsettled) -> tuple[Alone, Ledger]:
    """What becomes of the image alone, and of the bytes, as `az acr prune image` would have it."""
    inventory = doubted_anew(decision.inventory, now, {(repository, digest)})
    here = next(each for each in inventory.repositories if each.name == repository)
    fallout = Fallout(here, decision.include_locked, decision.pins, unsettled)
    return fallout.of(digest), open_ledger(inventory)


def _tag(decision: Decision, repository: Repository, tag: str) -> dict[str, Any]:
    verdict = decision.tags.get(repository.name, {}).get(tag)
    if verdict is None:
        return {'tag': tag, 'decision': 'keep', 'reason': TAGGED, 'because': tag, 'rule': None}
    return {
        'tag': tag,
        'decision': 'keep' if verdict.kept else 'remove',
        'reason': verdict.reason,
        'because': verdict.because,
        'rule': verdict.rule or None,
    }


def _chain(decision: Decision, repository: Repository, verdict: Verdict) -> list[dict[str, Any]]:
    """The manifests behind a verdict, from one to the next, up to the root."""
    chain: list[dict[str, Any]] = []
    seen: set[str] = set()
    while verdict.reason in RELATIONS and verdict.because not in seen:
        digest = verdict.because
        seen.add(digest)
        verdict = decision.verdicts[repository.name][digest]
        chain.append(
            {
                'digest': digest,
                'tags': list(repository.manifests[digest].tags),
                'reason': verdict.reason,
                'because': verdict.because,
            }
        )
    return chain


def _layers(
    decision: Decision, repository: Repository, digest: str, freed: AbstractSet[str]
) -> Iterator[dict[str, Any]]:
    """The blobs of an image and its parts, the largest first, with the other images that use them."""
    parts = build_graph(repository).parts(digest)
    sizes = {blob.digest: blob.size for part in parts for blob in _blobs(repository.manifests[part])}
    users = _users(decision, repository.name, parts, sizes)
    for blob, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        names = users.get(blob, [])
        yield {
            'digest': blob,
            'size': size,
            'freed': blob in freed,
            'sharedWith': len(names),
            'otherUsers': names[:_USERS_SHOWN],
        }


def _users(decision: Decision, name: str, parts: list[str], wanted: Mapping[str, int]) -> dict[str, list[str]]:
    """{blob: the images elsewhere that use it, those with a tag first}."""
    users: dict[str, list[str]] = {}
    for repository in in_order(decision.inventory.repositories):
        for digest, manifest in sorted(repository.manifests.items()):
            if repository.name != name or digest not in parts:
                for blob in _blobs(manifest):
                    if blob.digest in wanted:
                        users.setdefault(blob.digest, []).append(_name(repository, manifest))
    return {blob: sorted(names, key=lambda name: '@' in name) for blob, names in users.items()}


def _blobs(manifest: Manifest) -> tuple:
    return manifest.content.blobs if isinstance(manifest.content, Content) else ()


def _name(repository: Repository, manifest: Manifest) -> str:
    return f'{repository.name}:{manifest.tags[0]}' if manifest.tags else f'{repository.name}@{manifest.digest}'


def _sentence(repository: Repository, manifest: Manifest, verdict: Verdict, document: Mapping[str, Any]) -> str:
    parts = [
        f'{repository.name}@{manifest.digest} ({", ".join(manifest.tags) or "no tags"}) '
        f'{"stays" if verdict.kept else "goes"}: {sentence_of(verdict.kept, verdict.reason, verdict.because)}'
    ]
    for link in document.get('keptBy') or document.get('goesAfter') or ():
        parts.append(f', and that because {sentence_of(verdict.kept, link["reason"], link["because"])}')
    parts.append('.')
    removed = [tag['tag'] for tag in document['tags'] if tag['decision'] == 'remove']
    if verdict.kept and removed:
        parts.append(f' Its tag{"s" * (len(removed) > 1)} {", ".join(removed)} will be removed.')
    number = len(document['goesWith'])
    with_it = f', with the {number} manifest{"" if number == 1 else "s"} that would fall with it,' if number else ''
    bound = BOUNDS[document['impact']]
    freed = f'{bound}{document["uniqueBytes"]:,} bytes' if document['uniqueBytes'] else 'nothing'
    parts.append(f' Deleting it alone{with_it} frees {freed}.')
    kept = staying_sentence(manifest.digest, document['staysWith'])
    parts.append(f' {kept}' if kept else '')
    if manifest.artifact_type == STREAMING_TYPE:
        parts.append(' It is the copy that artifact streaming made of an image, as large as that.')
    copies = document['streamingCopies']
    if copies:
        more = f' and {len(copies) - 1} more' if len(copies) > 1 else ''
        parts.append(f' Artifact streaming has hung a copy of it on it, as large as itself: {copies[0]}{more}.')
    shared = [layer for layer in document['layers'] if layer['sharedWith']]
    if shared:
        parts.append(
            f' It shares {len(shared)} of its {len(document["layers"])} blobs with other images, '
            f'such as {shared[0]["otherUsers"][0]}.'
        )
    return ''.join(parts)
