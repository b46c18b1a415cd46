"""`az acr prune restore`: back from an archive, or from what the registry keeps of deleted content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knack.log import get_logger

from .archiving import open_target
from .command import Command
from .failures import exit_with_failure
from .journaling import lines_of
from .options import RegistryOptions, RestoreOptions
from .retiring import take_back
from .scanning import scan
from .session import Session, open_session

if TYPE_CHECKING:
    from ..archive.stored import Archived
    from ..decide.named import ImageName
    from ..model import Document, Inventory

logger = get_logger(__name__)


def restore(
    cmd: Command,
    archive: str | None = None,
    images: list[ImageName] | None = None,
    everything: bool = False,
    soft_deleted: bool = False,
    retired: bool = False,
    journal: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    **kwargs: object,
) -> Document:
    """Bring back what was deleted: all of it, or the images that are named."""
    options = RestoreOptions(archive, tuple(images or ()), everything, soft_deleted, journal, overwrite, dry_run)
    with open_session(cmd, RegistryOptions.of(kwargs), restoring=not retired) as session:
        if retired:
            document = take_back(session, options.images, dry_run)
        elif options.archive is None or options.soft_deleted:
            document = _undelete(session, options)
        else:
            document = _restore(session, options, options.archive)
    exit_with_failure(cmd, document['summary']['failed'])
    return document


def _restore(session: Session, options: RestoreOptions, name: str) -> Document:
    """Restore from the archive that `name` means."""
    from ..archive.pure.choose import choose
    from ..archive.push import push
    from ..archive.restore_document import preview_document, result_document
    from ..archive.stored import named, read_archive

    target = open_target(session.cmd, name)
    images = None if options.everything else options.images
    archived = read_archive(target, session.host, named(images) if images is not None else None)
    for trouble in archived.troubles:
        logger.warning(trouble)
    inventory = _what_is_there(session, archived, options.everything)
    chosen = choose(archived.records, archived.kept, archived.blobs, inventory, images, options.overwrite)
    if options.dry_run:
        return preview_document(session.host, target.name, chosen)
    pushed = session.run(push(session.registry, target, chosen, session.concurrency, session.reporter))
    return result_document(session.host, target.name, pushed, chosen.skipped, chosen.failed)


def _what_is_there(session: Session, archived: Archived, everything: bool) -> Inventory:
    """The registry now, as far as a restoration has to know it: for some images not more than these."""
    from ..archive.present import lacks_blobs, present
    from ..policy.rules import Selection
    from ..registry.protocol.refusals import Kind, RegistryError

    if everything:
        try:
            return scan(session, Selection())
        except RegistryError as error:
            if error.kind is not Kind.FORBIDDEN:
                raise
    inventory = session.run(present(session.registry, session.host, archived, session.concurrency))
    return scan(session, Selection()) if lacks_blobs(archived, inventory) and not everything else inventory


def _check_soft_delete(session: Session) -> None:
    """Raises InvalidArgumentValueError where soft delete is known to be off; an admin user is not told."""
    if session.facts.sku and session.facts.soft_delete_days is None:
        from azure.cli.core.azclierror import InvalidArgumentValueError

        raise InvalidArgumentValueError(
            f"Soft delete is off on the registry '{session.host}': it keeps nothing of what was deleted.",
            recommendation="Restore from an archive with --archive. 'az acr config soft-delete show' shows the policy.",
        )


def _undelete(session: Session, options: RestoreOptions) -> Document:
    """Restore what a run deleted, from what the registry keeps of it."""
    from ..archive.pure.lost import lost_in
    from ..archive.restore_document import result_document
    from ..archive.undelete import undelete

    _check_soft_delete(session)
    run, lines = lines_of(session.cmd, session.host, options.journal)
    lost = lost_in(lines)
    logger.warning('Restoring what the run %s deleted.', run)
    pushed = session.run(undelete(session.registry, lost, options.dry_run, options.overwrite))
    if lost and not (pushed.manifests or pushed.tags or pushed.skipped):
        logger.error('Nothing of what the run %s deleted could be restored: 0 of %d. See "failed".', run, len(lost))
    return result_document(session.host, f'softDelete of run {run}', pushed)
