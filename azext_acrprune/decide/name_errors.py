"""Why nothing is done with something that the user named."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import join, quote

from ..prune_error import Kind, PruneError

_SHOWN = 3


class NotAnImage(PruneError):
    """A name that stands for no manifest of the registry. The text says what it stands for, if that is known.

    `repository` is where it was looked for; None where there is no such one.
    """

    kind = Kind.NOT_FOUND
    advice = "List the repositories with 'az acr repository list --name {target}'."

    def __init__(self, message: str, repository: str | None) -> None:
        listing = f"'az acr manifest list-metadata --registry {{target}} --name {repository}'"
        is_name = repository is not None and quote(repository) == repository
        super().__init__(message, f'List the manifests of the repository with {listing}.' if is_name else None)


class Locked(PruneError):
    """Something named is locked; `found` has (a text, the words that name it to az) for each of these."""

    sentence = 'Nothing was deleted, because this is locked: {message}.'

    def __init__(self, *found: tuple[str, Sequence[str]]) -> None:
        unlock = [
            f"'az acr repository update --name {{target}} {join(words)} --delete-enabled true --write-enabled true'"
            for _, words in found
        ]
        more = f' and {len(unlock) - _SHOWN:,} more such commands' if len(unlock) > _SHOWN else ''
        them = 'it' if len(found) == 1 else 'them'
        super().__init__(
            ', '.join(text for text, _ in found),
            f'Unlock {them} with {" and ".join(unlock[:_SHOWN])}{more}, or leave {them}.',
        )


class Young(PruneError):
    """A named tag, or something in a named repository, is too young where there are replicas. The text says why."""

    sentence = 'Nothing was deleted, because this is {message}.'
    advice = 'Try again when it is older than a day; --single-region leaves the other regions out of account.'


class NotWhole(PruneError):
    """A repository was named that has something which is not listed. The text says what is known of that."""

    kind = Kind.REFUSED
    sentence = 'Nothing was deleted: something in the repository is not listed, and may be locked or in use: {message}.'

    def __init__(self, message: str, repository: str) -> None:
        deletion = f"'az acr repository delete --name {{target}} --repository {quote(repository)}'"
        super().__init__(
            message, f'Try again later. {deletion} deletes what is hidden too, unless something is locked.'
        )


class Pinned(PruneError):
    """Something named is pinned; there is a text in `names` for each of these, with who pins it."""

    sentence = 'Nothing was deleted, because this is pinned: {message}.'
    advice = 'Take it out of the files that name it, or leave it.'

    def __init__(self, *names: str) -> None:
        super().__init__(', '.join(names))
