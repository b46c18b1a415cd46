"""`az acr prune undo`: what a run took comes back, from wherever it can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from knack.log import get_logger

from ..model import Failed, Skipped
from ..prune_error import Kind, PruneError
from ..show.sizes import count, short_digest
from .archiving import open_target
from .bringing_back import Work, begun_before, bring_back, held_by, hold_to_answer, together, with_sentence
from .command import Command
from .failures import NOT_ALL_BACK, exit_by
from .foreseeing import foreseen
from .moving import moved_lines
from .options import HoldOptions, RegistryOptions, UndoOptions, read
from .restoring import push_chosen, read_asked, what_is_there
from .session import Session, open_session
from .stopping import nothing_was
from .taken import TakenRun, taken_by
from .undeleting import undelete_lost

if TYPE_CHECKING:
    from ..archive.afterwards import Note
    from ..archive.pure.choose import Restoration
    from ..archive.pure.foreseen import Coming
    from ..archive.pure.lost import Lost, Move
    from ..archive.pure.past import Begun
    from ..archive.push import Restored
    from ..archive.stored import Archived
    from ..archive.target import Target
    from ..decide.asked import AskedImage
    from ..decide.impact import Node
    from ..model import Document
    from ..registry.changes import Changes

logger = get_logger(__name__)

_LISTED = 5
_FIND_ARCHIVE = (
    'Check that the volume of the archive is mounted, or name with --archive where it is now: what a run archived '
    'comes back from there.'
)


@dataclass(frozen=True)
class Origins:
    """Where things of a run may come back from: its archive, what is soft-deleted; and what else is to be said.

    `lacks_archive` says that there is an archive, and that it cannot be used.
    """

    archived: tuple[Target, Archived] | None = None
    soft_deleted: frozenset[Node] = frozenset()
    told: tuple[str, ...] = ()
    lacks_archive: bool = False


@dataclass(frozen=True)
class Undo:
    """What is done to undo a run, and what is expected of it.

    `told` says why things cannot be had from elsewhere, `cautions` what is not known of the run, `again` what the last
    options would do with what comes back.
    """

    run: str
    works: tuple[Work, ...]
    expects: Restored
    known: Restored
    source: str
    about: str
    told: tuple[str, ...] = ()
    lacks_archive: bool = False
    cautions: tuple[str, ...] = ()
    again: tuple[str, ...] = ()


def undo(
    cmd: Command,
    run: str | None = None,
    archive: str | None = None,
    images: list[AskedImage] | None = None,
    overwrite: bool = False,
    lock: bool = False,
    lock_until: str | None = None,
    **kwargs: object,
) -> Document:
    """Bring back what a run took, and move back what it moved."""
    from ..archive.restore_document import preview_document, result_document

    given = {'run': run, 'archive': archive, 'images': images, 'overwrite': overwrite}
    options = read(UndoOptions, {**kwargs, **given})
    holding = HoldOptions(lock or lock_until is not None, lock_until)
    with open_session(cmd, RegistryOptions.of(kwargs), restoring=True) as session:
        with nothing_was('changed'):
            undoing = _plan(session, options, holding)
            if options.dry_run:
                cmd.cli_ctx.output.say_below('\n'.join(_said(session, undoing)))
                document = preview_document(session.host, undoing.source, undoing.expects)
                exit_by(cmd, document['exitReason'], NOT_ALL_BACK)
                return {**document, 'undoes': undoing.run}
            hold_to_answer(cmd, options.yes, _said(session, undoing), 'Bring it back?')
        asked = {'run': undoing.run, 'image': [each.text for each in options.images], 'overwrite': overwrite}
        said = {'undoes': undoing.run, 'source': undoing.source, 'given': {**asked, **held_by(holding)}}
        own, done = bring_back(session, undoing.works, holding, undoing.expects, **said)
        known = undoing.known
        document = result_document(session.host, undoing.source, done, known.skipped, known.failed)
        with_sentence(session, document)
    exit_by(cmd, document['exitReason'], NOT_ALL_BACK)
    return {**document, 'run': own, 'undoes': undoing.run}


def _plan(session: Session, options: UndoOptions, holding: HoldOptions) -> Undo:
    """What would undo a run. Raises JournalError, NothingAsked, and PruneError where nothing can be brought back."""
    from ..archive.pure.lost import asked_of, by_node, moves_in, not_held
    from ..archive.push import Restored
    from ..archive.restore_document import expected
    from ..decide.asked import Asked

    target = open_target(session.cmd, options.archive) if options.archive else None
    taken = taken_by(session.cmd, session.host, options.run, target)
    lost = asked_of(taken.lost, Asked(options.images))
    moves = moves_in(taken.lines) if taken.is_known_here else []
    begun = begun_before(session, {(each.repository, each.digest) for each, _ in taken.lost})
    origins = _origins(session, options.archive or _archive_of(taken), lost)
    works: list[Work] = []
    known, expects = [], []
    if origins.archived and lost:
        chosen = _chosen(session, origins, taken, options, begun)
        if chosen:
            works.append(partial(push_chosen, session, origins.archived[0], chosen, begun))
            known.append(Restored(skipped=list(chosen.skipped), failed=list(chosen.failed)))
            expects.append(expected(chosen))
        lost = not_held(lost, origins.archived[1].records)
    if lost:
        work = partial(undelete_lost, session, lost, by_node(each for each, _ in taken.lost), begun, options.overwrite)
        works.append(work)
        expects.append(session.run(work(session.door, None)))
    if moves:
        works.append(partial(_moved_back, session, moves))
        expects.append(session.run(_moved_back(session, moves, session.door, None)))
    source = f'{_named(origins)} of the run {taken.run}'
    expected_ones = together(expects)
    again = foreseen(session, _coming(taken, origins, expected_ones), holding, taken.lines)
    return Undo(
        taken.run,
        tuple(works),
        expected_ones,
        together(known),
        source,
        _about(taken),
        told=origins.told,
        lacks_archive=origins.lacks_archive,
        cautions=taken.told,
        again=tuple(again),
    )


def _coming(taken: TakenRun, origins: Origins, expects: Restored) -> Coming:
    """What comes back, with what is known of it."""
    from ..archive.pure.foreseen import Coming, contents_of

    kept = origins.archived[1].kept if origins.archived else {}
    return Coming(expects.manifests, expects.tags, [lost for lost, _ in taken.lost], contents_of(kept))


def _archive_of(taken: TakenRun) -> str | None:
    """The archive of a run, as its journal on this machine names it."""
    from ..archive.pure.run_story import ends_of

    archive = ends_of(taken.lines)[0].get('archive')
    return archive if taken.is_known_here else None


def _origins(session: Session, archive: str | None, lost: list[Lost]) -> Origins:
    """Where what was lost may come back from, and why not from elsewhere."""
    from ..archive.pure.lost import keys_of_lost
    from ..decide.asked import Asked

    archived, told = None, []
    if archive and lost:
        target = open_target(session.cmd, archive)
        try:
            archived = target, read_asked(target, session.host, Asked(run=keys_of_lost(lost)))
        except PruneError as error:
            told.append(f'The archive of the run cannot be used: {error.told(session.host)[0]}')
    elif lost:
        told.append('The run wrote no archive.')
    soft_deleted, more = _soft_deleted(session, sorted({each.repository for each in lost}))
    return Origins(archived, soft_deleted, (*told, *more), bool(archive and lost and not archived))


def _soft_deleted(session: Session, repositories: list[str]) -> tuple[frozenset[Node], list[str]]:
    """What the registry keeps as deleted in some repositories, and why that is not known or nothing."""
    from ..registry.protocol.refusals import RegistryError

    if session.facts.sku and session.facts.soft_delete_days is None:
        return frozenset(), ['Soft delete is off: the registry keeps nothing of what was deleted.'] * bool(repositories)
    found: set[Node] = set()
    for name in repositories:
        try:
            found.update((name, digest) for digest in session.run(session.registry.deleted_manifests(name)))
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                return frozenset(found), [f'What is soft-deleted in {name} is not known: {error}.']
    return frozenset(found), []


def _chosen(
    session: Session, origins: Origins, taken: TakenRun, options: UndoOptions, begun: Begun
) -> Restoration | None:
    """What of the archive comes back, None for images that are not in it; for a rehearsal all of it is read."""
    from ..archive.pure.choose import choose, is_asked_by
    from ..archive.pure.lost import keys_of_lost, not_held
    from ..archive.rehearsal import rehearse
    from ..decide.asked import Asked

    assert origins.archived is not None
    target, archived = origins.archived
    every = [each for each, _ in taken.lost]
    run = keys_of_lost(every) - keys_of_lost(not_held(every, archived.records))
    images = tuple(each for each in options.images if any(map(is_asked_by(Asked((each,), run=run)), archived.records)))
    if options.images and not images:
        return None
    chosen = choose(
        archived.records,
        archived.kept,
        archived.blobs,
        what_is_there(session, archived, not options.images),
        Asked(images, run=run),
        options.overwrite,
        origins.soft_deleted,
        begun.things,
    )
    return session.run(rehearse(target, chosen, session.reporter))[0] if options.dry_run else chosen


def _moved_back(
    session: Session, moves: list[Move], door: Changes, note: Note | None, moved: Restored | None = None
) -> Coroutine[Any, Any, Restored]:
    """Move tags back; without a `note` only say which."""
    from ..archive.afterwards import unheard
    from ..archive.move_back import move_back

    return move_back(session.registry, door, moves, note is None, note or unheard, moved)


def _named(origins: Origins) -> str:
    places = [origins.archived[0].name] if origins.archived else []
    return ' and '.join(places + (['softDelete'] if origins.soft_deleted or not places else []))


def _about(taken: TakenRun) -> str:
    from ..archive.pure.run_story import ends_of

    start = ends_of(taken.lines)[0]
    return f'{start.get("command")}, by {start.get("who")}, {str(start.get("at"))[:16].replace("T", " ")} UTC'


def _said(session: Session, undoing: Undo) -> list[str]:
    """What comes back, what does not and why. Raises PruneError where nothing does that should."""
    expects = undoing.expects
    if expects.failed and not (expects.manifests or expects.tags or expects.skipped):
        raise PruneError(
            f'Nothing of what the run {undoing.run} took can be brought back: {expects.failed[0].error}. '
            + ' '.join(undoing.told),
            _FIND_ARCHIVE
            if undoing.lacks_archive
            else f"See 'az acr prune history show --run {undoing.run}' for what it took. "
            'What is built again can be pushed again.',
            Kind.NOT_FOUND,
        )
    lines = [
        f'This undoes the run {undoing.run} ({undoing.about}).',
        f'{count(len(expects.manifests), "manifest")} and {count(len(expects.tags), "tag")} come back, '
        f'from {undoing.source}.',
        *moved_lines(session, expects.moved),
    ]
    for word, left in (('cannot come back', expects.failed), ('left as before', expects.skipped)):
        lines += _left(word, left)
    if expects.failed:
        lines += [*undoing.told, *([_FIND_ARCHIVE] if undoing.lacks_archive else [])]
    return [*lines, *undoing.cautions, *undoing.again]


def _left(word: str, left: Sequence[Failed | Skipped]) -> list[str]:
    """How many do not come back, and why, most first."""
    whys = Counter(each.error if isinstance(each, Failed) else each.because for each in left)
    shown = [f'  {number}: {short_digest(why)}' for why, number in whys.most_common(_LISTED)]
    more = [f'  and for {len(whys) - _LISTED} more reasons'] if len(whys) > _LISTED else []
    return [f'{len(left)} {word}:', *shown, *more] if left else []
