"""`az acr prune check`, and the same after a run over what it touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from knack.log import get_logger

from .command import Command
from .failures import NOT_ALL_READ, alarm, exit_by, say_unread
from .fleet import in_each_registry
from .marking import known_marks
from .options import RegistryOptions
from .scanning import scan
from .session import Session, open_session

if TYPE_CHECKING:
    from ..model import Document
    from .deciding import Decided

logger = get_logger(__name__)

_BROKEN = 'Something is broken: the findings say what, and what mends it.'


@in_each_registry
def check(cmd: Command, repository: list[str] | None = None, **kwargs: object) -> Document:
    """What is wrong in a registry, and what mends it; changes nothing."""
    from ..documents.check import check_document
    from ..exit_reasons import SOMETHING_UNREAD
    from ..policy.patterns import glob
    from ..policy.rules import Selection

    selection = Selection(tuple(glob(name) for name in repository or ()))
    options = RegistryOptions.of({**kwargs, 'impact': 'bound'})
    with open_session(cmd, options) as session:
        inventory = scan(session, selection, tags=True, anew=True)
        document = check_document(inventory, session.began, options.sign_in.target, _locked_by_us(session))
    for pattern in selection.asked_for:
        if not any(map(pattern.matches, inventory.selected)):
            logger.warning("--repository '%s' matches nothing in the registry.", pattern.text)
    say_unread(document)
    exit_by(cmd, document['exitReason'], NOT_ALL_READ if document['exitReason'] == SOMETHING_UNREAD else _BROKEN)
    return document


def validate(session: Session, decided: Decided, result: Document) -> bool:
    """Put into the result of a run what is wrong in the repositories that it was to delete from.

    Gives whether something is broken that was not before, or they could not be looked at.
    """
    from ..registry.protocol.refusals import Kind, RegistryError

    if result['summary']['interrupted']:
        logger.warning('Nothing was validated, because the run was interrupted.')
        result['validation'] = None
        return False
    try:
        result['validation'] = _look_again(session, decided, result)
    except RegistryError as error:
        logger.warning('What the run left could not be validated: %s.', error)
        result['validation'] = None
        return error.kind is not Kind.OUT_OF_TIME
    except KeyboardInterrupt:
        alarm(session.cmd, 'Interrupted: what the run left was not validated.')
        result['validation'] = None
        return True
    return bool(_says_broken(result['validation']))


def _look_again(session: Session, decided: Decided, result: Document) -> Document:
    """Look again at the repositories that a decision touches. Raises RegistryError.

    What was to be deleted is read if it is listed all the same; what stays is known.
    """
    from ..documents.check import validation_document
    from ..inventory.rescan import look_again

    decision = decided.decision
    sent = [*result['deleted'], *result['goneBefore'], *result['failed']]
    deleted: dict[str, set[str]] = {}
    for entry in sent:
        if 'tag' not in entry:
            deleted.setdefault(entry['repository'], set()).add(entry['digest'])
    touched = {
        repository.name
        for repository in decision.inventory.repositories
        if decision.doomed_in(repository.name) or any(decision.untagged_in(repository))
    }
    seen = [
        replace(
            repository,
            manifests={
                digest: manifest
                for digest, manifest in repository.manifests.items()
                if digest not in deleted.get(repository.name, ())
            },
        )
        for repository in decided.seen.repositories
        if repository.name in touched
    ]
    after = session.run(look_again(session.registry, seen, session.concurrency, deleted))
    target = session.options.sign_in.target
    return validation_document(decided.seen, after, sorted(touched), target, session.now, _locked_by_us(session))


def _locked_by_us(session: Session) -> Callable[[str, str], bool]:
    """Whether `pins lock` locked a manifest. Where that is not known, it may have locked any."""
    marks = known_marks(session.cmd, session.host)
    return lambda repository, digest: marks is None or (repository, digest) in marks


def _says_broken(validation: Document) -> int | None:
    from ..decide.health import BROKEN

    for finding in validation['new']:
        if finding['severity'] == BROKEN:
            logger.warning('Broken now: %s@%s: %s', finding['repository'], finding['digest'], finding['message'])
    return validation['newBroken']
