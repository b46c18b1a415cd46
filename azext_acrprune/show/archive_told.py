"""What was done to an archive, or would be, as one sentence for people."""

from __future__ import annotations

from shlex import quote
from typing import Any

from ..exit_reasons import NOTHING_TO_DO
from .sizes import count, human_size


def expire_told(document: dict[str, Any]) -> str:
    """What expired, and what becomes of its bytes."""
    summary = document['summary']
    archive, left = summary['archive'], count(summary['imagesLeft'], 'image')
    if not document['expired']:
        return f'Nothing in {archive} was archived that long ago: {left} stay there.'
    gone = f'{count(summary["imagesExpired"], "image")} and {count(summary["tagsExpired"], "tag")}'
    done = 'would be taken' if summary['dryRun'] else 'were taken'
    return (
        f'{gone} {done} out of the index of {archive}; {left} stay there. That frees nothing yet: '
        f"'az acr prune archive compact --archive {quote(archive)}' removes the blobs that nothing needs then."
    )


def compact_told(document: dict[str, Any]) -> str:
    """What was removed, and what it took."""
    summary = document['summary']
    if not document['removed']:
        return f'Nothing to remove from {summary["archive"]}: something needs each of its blobs.'
    blobs = f'{count(summary["blobsRemoved"], "blob")} that nothing needs, {human_size(summary["removedBytes"])},'
    return f'{blobs} {"would be removed" if summary["dryRun"] else "were removed"} from {summary["archive"]}.'


def repair_told(document: dict[str, Any]) -> str:
    """What the index has after it was made anew, and what was not in it before, or is lost."""
    summary = document['summary']
    archive, images = summary['archive'], count(summary['images'], 'image')
    if document['exitReason'] == NOTHING_TO_DO:
        return f'Nothing to repair: the index of {archive} is whole, with {images}.'
    found = f'{count(summary["found"], "entry")} that it lacked {"is" if summary["found"] == 1 else "are"} found again'
    lost = f'{count(summary["lost"], "entry")} cannot come back'
    nameless = f'of {count(summary["nameless"], "manifest")} nothing says where they were'
    parts = {'found': found, 'lost': lost, 'nameless': nameless}
    told = ', '.join(text for key, text in parts.items() if summary[key]) or 'nothing is lost'
    done = 'would be written' if summary['dryRun'] else 'was written'
    return f'An index of {images} {done} to {archive}: {told}.'
