"""The archive that a deleting command writes first, if it was asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from azure.cli.core.azclierror import ValidationError
from knack.log import get_logger

from ..apply.journal import Journal, JournalError
from ..timelimit import SHARE_AFTER_ARCHIVING
from .command import Command
from .consent import is_confirmed
from .failures import alarm
from .options import ArchiveOptions, ConsentOptions
from .questions import ask
from .session import Session

if TYPE_CHECKING:
    from ..archive.patience import Patience
    from ..archive.target import Target
    from ..archive.write import Safe
    from ..decide.decision import Decision
    from ..model import Document, Notice

logger = get_logger(__name__)

BLOB_TARGET = 'azure-blob:'
WAIT_SECONDS = 30
"""How long a run waits for an archive that another run is writing to."""


@dataclass(frozen=True)
class Archiving:
    """Where to archive, and whether the layers too; `may_be_new` where a new directory was asked for."""

    target: Target
    layers: bool
    may_be_new: bool = False

    def with_notices(self, decision: Decision) -> Decision:
        """The decision, its warnings saying what the archive will not be able to bring back."""
        inventory = decision.inventory
        return replace(decision, inventory=replace(inventory, warnings=(*inventory.warnings, *self._notices(decision))))

    def announce(self, decision: Decision, is_dry: bool) -> None:
        """Say what will be archived, or would be. Raises ArchiveError when that cannot be done."""
        from ..archive.write import estimate
        from ..show.sizes import count, human_size

        size = estimate(self.target, decision.with_retiring_gone(), self.layers)
        for trouble in size.troubles:
            logger.warning(trouble)
        logger.warning(
            '%s to %s before anything goes: %s, %s; %s of it is not there yet.',
            'Would be archived' if is_dry else 'Archived',
            self.target.name,
            count(size.blobs, 'blob'),
            human_size(size.size),
            human_size(size.missing),
        )
        notices = self._notices(decision)
        if notices:
            logger.warning(
                '%s of what goes cannot be restored from this archive: see the warnings of --dry-run.',
                len({(notice.repository, notice.digest) for notice in notices}),
            )

    def _notices(self, decision: Decision) -> tuple[Notice, ...]:
        from ..archive.pure.contents import incomplete, not_restorable

        return (*incomplete(decision), *(() if self.layers else not_restorable(decision)))


def archiving_of(cmd: Command, options: ArchiveOptions) -> Archiving | None:
    if not options.archive:
        return None
    return Archiving(open_target(cmd, options.archive), options.archive_content == 'all', options.new_archive)


def hold_target(cmd: Command, archiving: Archiving, consent: ConsentOptions) -> None:
    """Return where there is an archive, or a new one may be begun; asks whoever did not say so.

    Raises ValidationError where nobody is asked, and CLIError where somebody declines.
    """
    if not archiving.target.is_new():
        return
    new = f"There is no archive in '{archiving.target.name}' yet."
    if archiving.may_be_new or consent.dry_run:
        logger.warning('%s It is a new one.', new)
        return
    if is_confirmed(cmd, consent.yes):
        raise ValidationError(
            f'{new} Nothing was deleted.',
            recommendation='Check the name, and that the volume is mounted; or give --new-archive to begin one there.',
        )
    ask(f'{new} Begin one there?', undone='deleted')


def archive(session: Session, decision: Decision, archiving: Archiving, run: str) -> Safe:
    """Archive what goes in this run, and what is retired, which cannot be read later; gives what may be done then.

    Raises ArchiveError and RegistryError.
    """
    from ..archive.write import archive

    with session.limit.keeping(SHARE_AFTER_ARCHIVING):
        work = archive(
            session.registry,
            archiving.target,
            decision.with_retiring_gone(),
            archiving.layers,
            session.began,
            session.concurrency,
            session.reporter,
            session.limit.is_over,
            run,
            patience_with(archiving.target),
        )
        safe = session.run(work)
        return replace(safe, decision=safe.decision.with_retiring_kept())


def says_unarchived(cmd: Command, result: Document) -> bool:
    """Whether something stays because it could not be archived; says what. What came too late is no such thing."""
    from ..archive.pure.contents import could_not_be_archived

    kept = [each for each in result['skipped'] if could_not_be_archived(each['reason'], each['because'])]
    if kept:
        first = kept[0]
        alarm(
            cmd,
            f'{len(kept)} of what was to go could not be archived, so it stays. '
            f'The first: {first["repository"]}@{first["digest"]}: {first["because"]}. See "skipped".',
        )
    return bool(kept)


def patience_with(target: Target) -> Patience:
    """Wait for a while for an archive that another run is writing to, and say so."""
    from ..archive.patience import Patience

    waiting = "Another run is writing to the archive '%s'. This one waits for it, up to %d seconds."
    return Patience(WAIT_SECONDS, lambda: logger.warning(waiting, target.name, WAIT_SECONDS))


def keep_journal(archiving: Archiving, journal: Journal) -> None:
    """Write the journal of this run into its archive, so that another machine can undo it. A failure is a warning."""
    from ..archive.target import ArchiveError

    try:
        archiving.target.put_journal(journal.run, [journal.so_far()])
    except (ArchiveError, JournalError) as error:
        logger.warning('The archive has no journal of this run, so that only this machine knows all of it: %s', error)


def lasting_name(name: str) -> str:
    """A name of an archive that means the same from any folder."""
    return name if name.startswith(BLOB_TARGET) else os.path.abspath(os.path.expanduser(name))


def open_target(cmd: Command, name: str) -> Target:
    """The archive that a name means: a directory, or a container of a storage account."""
    if not name.startswith(BLOB_TARGET):
        from ..archive.directory import DirectoryArchive

        return DirectoryArchive(os.path.expanduser(name))
    from ..archive.azure_blob import BlobArchive
    from .azure import storage_container

    account, _, container = name[len(BLOB_TARGET) :].partition('/')
    return BlobArchive(name, *storage_container(cmd, account, container))
