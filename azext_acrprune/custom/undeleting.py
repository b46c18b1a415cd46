"""`az acr prune restore --soft-deleted`: back from what the registry keeps of deleted content."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from azure.cli.core.azclierror import InvalidArgumentValueError
from knack.log import get_logger

from ..prune_error import Kind, PruneError
from .bringing_back import begun_before, bring_back, conditions_of, given_to_restore, hold_to_answer, with_sentence
from .failures import alarm
from .foreseeing import say_foreseen
from .moving import moved_lines
from .options import HoldOptions, RestoreOptions
from .session import Session
from .stopping import nothing_was
from .taken import lines_since, taken_by

if TYPE_CHECKING:
    from ..archive.afterwards import Note
    from ..archive.pure.lost import Lost
    from ..archive.pure.past import Begun
    from ..archive.push import Restored
    from ..decide.asked import Asked
    from ..decide.impact import Node
    from ..model import Document
    from ..policy.patterns import Pattern
    from ..registry.changes import Changes

logger = get_logger(__name__)

_NOT_LISTED = (
    'The registry does not say of which repositories it keeps something deleted (%s). Only those that exist, and those '
    'that journals of this machine name, are looked at.'
)


def undelete(session: Session, options: RestoreOptions, holding: HoldOptions) -> Document:
    """Restore what a run deleted, or what is asked for, from what the registry keeps of it."""
    from ..archive.pure.foreseen import Coming
    from ..archive.restore_document import preview_document, result_document

    _check_soft_delete(session)
    source, lost, around = _lost(session, options)
    begun = begun_before(session, {*around, *((each.repository, each.digest) for each in lost)})
    logger.warning('Restoring what %s deleted.', source)
    work = partial(undelete_lost, session, lost, around, begun, options.overwrite)
    with nothing_was('changed'):
        expects = session.run(work(session.door, None))
        coming = Coming(expects.manifests, expects.tags, [*lost, *around.values()], {})
        say_foreseen(session, coming, holding)
        if options.dry_run:
            return with_sentence(session, preview_document(session.host, f'softDelete of {source}', expects))
        if expects.moved:
            hold_to_answer(session.cmd, options.yes, moved_lines(session, expects.moved), 'Restore it?')
    said = {'source': f'softDelete of {source}', 'given': given_to_restore(options, holding)}
    run, pushed = bring_back(session, [work], holding, expects, **said)
    if lost and not (pushed.manifests or pushed.tags or pushed.skipped or pushed.interrupted):
        alarm(session.cmd, f'Nothing of what {source} deleted could be restored: 0 of {len(lost)}.')
    return with_sentence(session, {**result_document(session.host, f'softDelete of {source}', pushed), 'run': run})


def undelete_lost(
    session: Session,
    lost: list[Lost],
    around: dict[Node, Lost],
    begun: Begun,
    overwrite: bool,
    door: Changes,
    note: Note | None,
    pushed: Restored | None = None,
) -> Coroutine[Any, Any, Restored]:
    """Bring back what the registry keeps of what was lost; without a `note` only say what that is."""
    from ..archive.afterwards import unheard
    from ..archive.undelete import undelete

    said = note or unheard
    return undelete(session.registry, door, lost, around, note is None, overwrite, said, begun.things, pushed)


def _check_soft_delete(session: Session) -> None:
    """Raises InvalidArgumentValueError where soft delete is known to be off; an admin user is not told."""
    if session.facts.sku and session.facts.soft_delete_days is None:
        raise InvalidArgumentValueError(
            f"Soft delete is off on the registry '{session.host}': it keeps nothing of what was deleted.",
            recommendation='Restore from an archive with --archive. '
            f"'az acr config soft-delete show -r {session.options.sign_in.registry_name}' shows the policy.",
        )


def _lost(session: Session, options: RestoreOptions) -> tuple[str, list[Lost], dict[Node, Lost]]:
    """(who deleted it, what is asked for of that, and all that may belong to it). Raises JournalError, NothingAsked."""
    from ..archive.pure.lost import asked_of, by_node
    from ..decide.asked import Asked

    asked = conditions_of(session, options)
    if options.journal or asked == Asked():
        taken = taken_by(session.cmd, session.host, options.journal)
        return f'the run {taken.run}', asked_of(taken.lost, asked), by_node(each for each, _ in taken.lost)
    kept = _kept(session, asked)
    lost = asked_of(kept, asked)
    if not lost:
        raise PruneError(
            f"The registry '{session.host}' keeps nothing deleted that is asked for.",
            "'az acr manifest list-deleted --registry {target} --name REPOSITORY' shows what it keeps of a repository.",
            Kind.NOT_FOUND,
        )
    return 'others or earlier runs', lost, by_node(each for each, _ in kept)


def _kept(session: Session, asked: Asked) -> list[tuple[Lost, int | None]]:
    """All that the registry keeps as deleted where something may be asked for, as it and our journals know it."""
    from ..archive.pure.lost import as_kept, by_node, lost_in
    from ..archive.undelete import what_is_kept

    known = by_node(lost for lines in lines_since(session.cmd, session.host, None) for lost in lost_in(lines))
    names = _repositories(session, asked, {name for name, _ in known})
    session.registry.announce(names)
    return as_kept(session.run(what_is_kept(session.registry, names, session.concurrency)), known)


def _repositories(session: Session, asked: Asked, known: set[str]) -> list[str]:
    """Where something may be asked for. All that there are are listed only where a pattern asks for them."""
    patterns = asked.repositories or tuple(image.repository for image in asked.images)
    if patterns and all(pattern.literal for pattern in patterns):
        return sorted({pattern.text for pattern in patterns})
    return sorted(name for name in known | _deleted_repositories(session) if _is_meant(name, patterns))


def _is_meant(name: str, patterns: tuple[Pattern, ...]) -> bool:
    return not patterns or any(pattern.matches(name) for pattern in patterns)


def _deleted_repositories(session: Session) -> set[str]:
    from ..registry.protocol.refusals import RegistryError

    try:
        return set(session.run(session.registry.deleted_repositories()))
    except RegistryError as error:
        if error.kind not in (Kind.FORBIDDEN, Kind.UNAUTHENTICATED, Kind.NOT_FOUND):
            raise
        logger.warning(_NOT_LISTED, error)
    return set(session.run(_catalog(session)))


async def _catalog(session: Session) -> list[str]:
    pages = session.registry.repositories()
    return [name async for page in pages for name in page if isinstance(name, str)]
