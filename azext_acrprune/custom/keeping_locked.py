"""What a policy keeps locked, and the marks of the locks that it set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .session import Session
from .states import kept_folder, marks_keeper
from .stopping import run_until_stopped

if TYPE_CHECKING:
    from ..apply.pin_locks import Marks
    from ..decide.kept_locked import KeptLocked
    from ..model import Outcome
    from ..policy.rules import Policy
    from ..registry.changes import Changes
    from ..workers import Stops


def with_lock_marks(session: Session, policy: Policy) -> Policy:
    """The policy with what this program locked for policies before. Raises MarksUnreadable."""
    from ..apply.keep_locked import policy_marks_path

    path = policy_marks_path(kept_folder(session.cmd), session.host)
    if policy.kept_locked is None or not path.exists():
        return policy
    marks = {key: mark.write_enabled for key, mark in _marks(session).all().items()}
    return replace(policy, facts=replace(policy.facts, lock_marks=marks))


def kept_locked(session: Session, stops: Stops, work: KeptLocked, door: Changes, outcome: Outcome) -> Outcome:
    """Lock and unlock, unless the run was stopped before. Raises MarksUnreadable."""
    from ..apply.keep_locked import KeptLockedOutcome, keep_locked

    if outcome.interrupted or outcome.out_of_time:
        return outcome
    done = KeptLockedOutcome()
    locking = keep_locked(session.registry, door, work, _marks(session), session.concurrency, done)
    interrupted = run_until_stopped(session, stops, locking)
    return replace(
        outcome,
        interrupted=interrupted,
        locked=tuple(done.locked),
        unlocked=tuple(done.unlocked),
        failed=(*outcome.failed, *done.failed),
    )


def _marks(session: Session) -> Marks:
    from ..apply.keep_locked import policy_marks

    return policy_marks(kept_folder(session.cmd), session.host, marks_keeper(session.cmd))
