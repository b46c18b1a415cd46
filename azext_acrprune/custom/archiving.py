"""The archive that a deleting command writes first, if it was asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from knack.log import get_logger

logger = get_logger(__name__)

BLOB_TARGET = 'azure-blob:'

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Archiving:
    """Where to archive, and whether the layers too."""

    target: Any
    layers: bool

    def with_notices(self, decision: Any) -> Any:
        """The decision, its warnings saying what the archive will not be able to bring back."""
        inventory = decision.inventory
        return replace(decision, inventory=replace(inventory, warnings=(*inventory.warnings, *self._notices(decision))))

    def announce(self, decision: Any) -> None:
        """Say what will be archived. Raises ArchiveError when that cannot be done."""
        from ..archive.write import estimate
        from ..show.sizes import count, human_size

        size = estimate(self.target, decision, self.layers)
        logger.warning(
            'Archived to %s before anything goes: %s, %s; %s of it is not there yet.',
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

    def _notices(self, decision: Any) -> Any:
        from ..archive.contents import incomplete, not_restorable

        return (*incomplete(decision), *(() if self.layers else not_restorable(decision)))


def archiving_of(cmd, options: Options) -> Archiving | None:
    if not options.get('archive'):
        return None
    return Archiving(open_target(cmd, options['archive']), options['archive_content'] == 'all')


def open_target(cmd, name: str) -> Any:
    """The archive that a name means: a directory, or a container of a storage account."""
    if not name.startswith(BLOB_TARGET):
        from ..archive.directory import DirectoryArchive

        return DirectoryArchive(os.path.expanduser(name))
    from ..archive.azure_blob import BlobArchive
    from .azure import storage_container

    account, _, container = name[len(BLOB_TARGET) :].partition('/')
    return BlobArchive(name, *storage_container(cmd, account, container))
