"""`az acr prune restore`: back from an archive, or from what the registry keeps of deleted content."""

from __future__ import annotations

from typing import Any

from knack.log import get_logger

from .archiving import open_target
from .failures import exit_with_failure
from .journaling import lines_of
from .session import Session, open_session

logger = get_logger(__name__)


def restore(
    cmd,
    archive=None,
    images=None,
    everything=False,
    soft_deleted=False,
    journal=None,
    overwrite=False,
    dry_run=False,
    **kwargs,
):
    """Bring back what was deleted: all of it, or the images that are named."""
    options = {**kwargs, 'impact': 'exact'}
    with open_session(cmd, options, restoring=True) as session:
        if soft_deleted:
            document = _undelete(cmd, session, journal, dry_run, overwrite)
        else:
            document = _restore(
                session,
                open_target(cmd, archive),
                None if everything else images,
                overwrite,
                dry_run,
                options['concurrency'],
            )
    exit_with_failure(cmd, document['summary']['failed'])
    return document


def _restore(
    session: Session, target: Any, images: Any, overwrite: bool, dry_run: bool, concurrency: int
) -> dict[str, Any]:
    from ..archive.choose import choose
    from ..archive.push import push
    from ..archive.restore_document import preview_document, result_document
    from ..archive.stored import read_archive
    from ..policy.rules import Selection

    archived = read_archive(target, session.host)
    chosen = choose(archived.records, archived.kept, archived.blobs, session.scan(Selection()), images, overwrite)
    if dry_run:
        return preview_document(session.host, target.name, chosen)
    pushed = session.with_registry(lambda registry: push(registry, target, chosen, concurrency, session.reporter))
    return result_document(session.host, target.name, pushed, chosen.skipped, chosen.failed)


def _undelete(cmd, session: Session, run: Any, dry_run: bool, overwrite: bool) -> dict[str, Any]:
    from ..archive.restore_document import result_document
    from ..archive.undelete import lost_in, undelete

    name, lines = lines_of(cmd, session.host, run)
    logger.warning('Restoring what the run %s deleted.', name)
    pushed = session.with_registry(lambda registry: undelete(registry, lost_in(lines), dry_run, overwrite))
    return result_document(session.host, f'softDelete of run {name}', pushed)
