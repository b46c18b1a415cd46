"""The one error of this project: what happened, of what kind that is, and what to do about it.

Every error that a user may see is a `PruneError`. `_errors.py` has the table of kinds and azure-cli's types. A class of
its own is for callers that have to catch just that error.
"""

from __future__ import annotations

from enum import Enum

from .redaction import redacted


class Kind(Enum):
    """What an error means for the caller.

    INVALID: an argument, or a file in the place of one, means nothing. REFUSED: all is understood, and something
    forbids it. FILE: a file or a folder cannot be used. The others are about a registry or another service. LATE: the
    call was not made, or only refused, until it was too late. OUT_OF_TIME: the time limit was reached before a call
    that only reads was answered. MOVED: a tag was removed that had just moved. STOPPED: somebody stopped the run before
    the call was made. MALFORMED: a part of an answer is written as no registry writes it, and the rest as one does;
    NOT_A_REGISTRY: all of it is not.
    """

    INVALID = 'invalid'
    REFUSED = 'refused'
    FILE = 'file'
    NOT_FOUND = 'not found'
    FORBIDDEN = 'forbidden'
    UNAUTHENTICATED = 'unauthenticated'
    LOCKED = 'locked'
    BUSY = 'busy'
    LATE = 'late'
    MOVED = 'moved'
    OUT_OF_TIME = 'out of time'
    STOPPED = 'stopped'
    UNAVAILABLE = 'unavailable'
    UNREACHABLE = 'unreachable'
    MALFORMED = 'malformed'
    NOT_A_REGISTRY = 'not a registry'


class PruneError(Exception):
    """Something could not be done.

    `message` says what happened, in few words where a list has a line for each failure; secrets in it are hidden.
    `sentence` makes a sentence of it for a user whose command failed: `{message}` and `{registry}` stand for the
    message and the name of the registry. `advice` is a sentence on what to do, with commands that can be pasted:
    `{target}` stands for the words that name the registry in them.
    """

    kind: Kind = Kind.REFUSED
    sentence: str = '{message}'
    advice: str = ''

    def __init__(self, message: str, advice: str | None = None, kind: Kind | None = None) -> None:
        self.message = redacted(message)
        super().__init__(self.message)
        if advice:
            self.advice = advice
        if kind:
            self.kind = kind

    def __str__(self) -> str:
        return self.message

    def told(self, registry: str, target: str = '') -> tuple[str, str]:
        """(sentence, advice) for a user of the registry with this name; `target` names it in a command."""
        advice = self.advice.replace('{target}', target or registry or 'REGISTRY')
        return self.sentence.format(message=self, registry=registry), advice
