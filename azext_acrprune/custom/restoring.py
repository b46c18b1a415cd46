"""`az acr prune restore`: back from an archive, or from what the registry keeps of deleted content."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from knack.log import get_logger

from .archiving import lasting_name, open_target
from .bringing_back import begun_before, bring_back, conditions_of, given_to_restore, hold_to_answer, with_sentence
from .command import Command
from .failures import NOT_ALL_BACK, exit_by
from .foreseeing import say_foreseen
from .moving import Moved, moved_lines
from .options import HoldOptions, RegistryOptions, RestoreOptions, read
from .retiring import take_back
from .scanning import scan
from .session import Session, open_session
from .stopping import nothing_was
from .taken import taken_by
from .undeleting import undelete

if TYPE_CHECKING:
    from ..archive.afterwards import Note
    from ..archive.pure.choose import Restoration
    from ..archive.pure.past import Begun
    from ..archive.push import Restored
    from ..archive.stored import Archived
    from ..archive.target import Target
    from ..decide.asked import Asked, AskedImage
    from ..decide.named import ImageName
    from ..model import Document, Inventory
    from ..registry.changes import Changes

logger = get_logger(__name__)


def restore(
    cmd: Command,
    images: list[AskedImage] | None = None,
    since: str | None = None,
    everything: bool = False,
    soft_deleted: bool = False,
    retired: bool = False,
    journal: str | None = None,
    from_registry: str | None = None,
    overwrite: bool = False,
    lock: bool = False,
    lock_until: str | None = None,
    **kwargs: object,
) -> Document:
    """Bring back what was deleted: all of it, or what is asked for."""
    own = {'images': images, 'since': since, 'everything': everything, 'soft_deleted': soft_deleted}
    own.update(journal=journal, from_registry=from_registry, overwrite=overwrite)
    options = read(RestoreOptions, {**kwargs, **own})
    holding = HoldOptions(lock or lock_until is not None, lock_until)
    with open_session(cmd, RegistryOptions.of(kwargs), restoring=not retired) as session:
        if retired:
            document = with_sentence(session, take_back(session, _named(options.images), options.dry_run))
        elif options.archive is None or options.soft_deleted:
            document = undelete(session, options, holding)
        else:
            document = _restore(session, options, options.archive, holding)
    exit_by(cmd, document['exitReason'], NOT_ALL_BACK)
    return document


def _named(images: Sequence[AskedImage]) -> list[ImageName]:
    """Images that are there, by their names: what is retired is not deleted yet."""
    from ..decide.named import parse_image

    return [parse_image(image.text) for image in images]


def _restore(session: Session, options: RestoreOptions, name: str, holding: HoldOptions) -> Document:
    """Restore from the archive that `name` means."""
    from ..archive.pure.choose import NotInArchive, choose
    from ..archive.pure.foreseen import coming_from
    from ..archive.restore_document import expected, result_document

    target = open_target(session.cmd, name)
    with nothing_was('changed'):
        asked = None if options.everything else _asked(session, options, target)
        source, archived = _archived(session, target, options.from_registry, asked)
        inventory = what_is_there(session, archived, asked is None)
        begun = begun_before(session, {(record.repository, record.digest) for record in archived.records})
        try:
            chosen = choose(
                archived.records, archived.kept, archived.blobs, inventory, asked, options.overwrite, begun=begun.things
            )
        except NotInArchive as error:
            raise NotInArchive(error.message, target.name) from error
        say_foreseen(session, coming_from(chosen, archived.records, archived.kept), holding)
        if options.dry_run:
            return _previewed(session, target, chosen)
        _hold_to_restoration(session, options, source, chosen)
    work = partial(push_chosen, session, target, chosen, begun)
    said = {'source': lasting_name(name), 'sourceRegistry': source, 'given': given_to_restore(options, holding)}
    run, pushed = bring_back(session, [work], holding, expected(chosen), **said)
    document = result_document(session.host, target.name, pushed, chosen.skipped, chosen.failed)
    return with_sentence(session, {**document, 'run': run})


def _previewed(session: Session, target: Target, chosen: Restoration) -> Document:
    """What a dry run answers with: what would come back, each byte of it verified."""
    from ..archive.rehearsal import rehearse
    from ..archive.restore_document import expected, preview_document

    for line in moved_lines(session, _moves(chosen)):
        logger.warning(line)
    chosen, verified = session.run(rehearse(target, chosen, session.reporter))
    return with_sentence(session, preview_document(session.host, target.name, expected(chosen), verified))


def _moves(chosen: Restoration) -> list[Moved]:
    return [(name, tag, digest) for (name, tag), digest in chosen.moves.items()]


def push_chosen(
    session: Session, target: Target, chosen: Restoration, begun: Begun, door: Changes, note: Note, pushed: Restored
) -> Coroutine[Any, Any, Restored]:
    """Push what was chosen of an archive."""
    from ..archive.push import push

    return push(
        session.registry, door, target, chosen, session.concurrency, session.reporter, note, begun.veiled, pushed
    )


def _archived(session: Session, target: Target, source: str | None, asked: Asked | None) -> tuple[str, Archived]:
    """(the registry that was archived, what the archive has of it): this one, the one that is named, or the only one.

    Raises ArchiveError, or NotAnArchive.
    """
    from ..archive.stored import HoldsOthers

    wanted = _host_named(session, source) if source else session.host
    try:
        return wanted, read_asked(target, wanted, asked)
    except HoldsOthers as error:
        if source or len(error.registries) != 1:
            raise
        (only,) = error.registries
        return only, read_asked(target, only, asked)


def read_asked(target: Target, host: str, asked: Asked | None) -> Archived:
    """What is asked for of an archive, with a warning for whatever is wrong with its index.

    Raises ArchiveError, or NotAnArchive.
    """
    from ..archive.pure.choose import is_asked_by
    from ..archive.stored import read_archive

    archived = read_archive(target, host, is_asked_by(asked) if asked else None)
    for trouble in archived.troubles:
        logger.warning(trouble)
    return archived


def _host_named(session: Session, name: str) -> str:
    """The login server that a name of a registry means, or is."""
    from .caching import login_server

    return name.lower() if '.' in name or ':' in name else login_server(session.cmd, name, None)


def _asked(session: Session, options: RestoreOptions, target: Target) -> Asked:
    """What is asked for. Raises JournalError, also for a run that deleted nothing."""
    from ..archive.pure.lost import keys_of_lost

    run = None
    if options.journal:
        host = _host_named(session, options.from_registry) if options.from_registry else session.host
        run = keys_of_lost(lost for lost, _ in taken_by(session.cmd, host, options.journal, target).lost)
    return replace(conditions_of(session, options), run=run)


def _hold_to_restoration(session: Session, options: RestoreOptions, source: str, chosen: Restoration) -> None:
    """Ask where tags are moved, and where this is not the registry that was archived."""
    lines = []
    if source != session.host and not options.from_registry:
        lines.append(f'This archive is of {source}, and would be restored to {session.host}.')
    lines += moved_lines(session, _moves(chosen))
    if lines:
        hold_to_answer(session.cmd, options.yes, lines, 'Restore it?')


def what_is_there(session: Session, archived: Archived, everything: bool) -> Inventory:
    """The registry now, as far as a restoration has to know it: for some images not more than these."""
    from ..archive.present import lacks_blobs, present
    from ..inventory.scan import Extent
    from ..policy.rules import Selection
    from ..registry.protocol.refusals import Kind, RegistryError

    if everything:
        try:
            return scan(session, Selection())
        except RegistryError as error:
            if error.kind is not Kind.FORBIDDEN:
                raise
    is_cached = Extent(cached=session.facts.cache_rules or ()).is_cached
    inventory = session.run(present(session.registry, session.host, archived, session.concurrency, is_cached))
    return scan(session, Selection()) if lacks_blobs(archived, inventory) and not everything else inventory
