"""Our errors -> azure-cli's typed errors, at one place: a sentence of what, a sentence of what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.cli.core.azclierror import (
    AzureConnectionError,
    AzureResponseError,
    CLIInternalError,
    FileOperationError,
    ForbiddenError,
    InvalidArgumentValueError,
    ManualInterrupt,
    ResourceNotFoundError,
    UnauthorizedError,
    ValidationError,
)


@contextmanager
def typed_errors(registry: str) -> Iterator[None]:
    """Raise azure-cli's errors in place of ours. What can go wrong is only loaded when something did."""
    try:
        yield
    except (Exception, KeyboardInterrupt):  # pylint: disable=broad-exception-caught  # which it is, is seen there
        with _typed_errors(registry):
            raise


@contextmanager
def _typed_errors(registry: str) -> Iterator[None]:
    from .decide.named import Locked, NotAnImage, Pinned
    from .documents.planned import PlanRefused
    from .inventory.scan import UnknownRepository
    from .pins.pinned import Incomplete
    from .pins.pulls import BadLog, LogTooShort
    from .policy.patterns import PatternTimeout
    from .registry.protocol.refusals import RegistryError
    from .sources.failure import AskError
    from .sources.pin_files import SourceError

    try:
        with _archive_errors(registry):
            yield
    except NotAnImage as error:
        raise ResourceNotFoundError(
            str(error),
            recommendation='List the manifests of a repository with '
            f"'az acr manifest list-metadata --registry {registry} --name REPOSITORY'.",
        ) from error
    except Locked as error:
        raise ValidationError(
            f'Nothing was deleted, because this is locked: {", ".join(error.args)}.',
            recommendation="Unlock it with 'az acr repository update --delete-enabled true "
            "--write-enabled true', or leave it.",
        ) from error
    except Pinned as error:
        raise ValidationError(
            f'Nothing was deleted, because this is pinned: {", ".join(error.args)}.',
            recommendation='Take it out of the files that name it, or leave it.',
        ) from error
    except Incomplete as error:
        more = f' and {len(error.problems) - 1} more' if len(error.problems) > 1 else ''
        raise ValidationError(
            f'Nothing was deleted, because the pins are not all known: {error}{more}.',
            recommendation='Correct what is wrong, or leave out --strict-pins to be warned instead.',
        ) from error
    except SourceError as error:
        raise FileOperationError(
            f"Nothing was deleted, because the pins in '{error.source}' could not be read: {error}.",
            recommendation='Give files and folders that exist, or - for what another command wrote.',
        ) from error
    except (AskError, BadLog, LogTooShort) as error:
        raise _from_asking(error) from error
    except PlanRefused as error:
        raise ValidationError(str(error), recommendation=error.advice) from error
    except PatternTimeout as error:
        raise InvalidArgumentValueError(
            f"The pattern '{error}' takes too long to evaluate.",
            recommendation='Write it without nested repetitions, such as (a+)+.',
        ) from error
    except UnknownRepository as error:
        raise ResourceNotFoundError(
            f"The repository '{error}' is not in the registry '{registry}'.",
            recommendation=f"List the repositories with 'az acr repository list --name {registry}'.",
        ) from error
    except RegistryError as error:
        raise _from_registry(error, registry) from error
    except KeyboardInterrupt as error:
        raise ManualInterrupt(
            'Interrupted before the work was done.',
            recommendation=f"See what is left with 'az acr prune plan --registry {registry}'.",
        ) from error


@contextmanager
def _archive_errors(registry: str) -> Iterator[None]:
    from .archive.choose import NotInArchive
    from .archive.layout import NotAnArchive
    from .archive.target import ArchiveError

    try:
        yield
    except ArchiveError as error:
        raise FileOperationError(str(error), recommendation=error.advice) from error
    except NotAnArchive as error:
        raise FileOperationError(
            f'The archive cannot be read: {error}.', recommendation='Give an archive that a deleting command wrote.'
        ) from error
    except NotInArchive as error:
        raise ResourceNotFoundError(
            f"The archive does not hold '{error}'.",
            recommendation=f"See what it holds with 'az acr prune restore --registry {registry} --all --dry-run'.",
        ) from error


@contextmanager
def policy_errors(path: str) -> Iterator[None]:
    """Raise azure-cli's error for what is wrong with a policy file."""
    from .policy.file import PolicyError

    try:
        yield
    except PolicyError as error:
        raise InvalidArgumentValueError(
            f"The policy '{path}' is not valid: {error}.",
            recommendation="See what is expected with 'az acr prune policy show-schema'.",
        ) from error


@contextmanager
def journal_errors() -> Iterator[None]:
    """Raise azure-cli's error for a journal that cannot be written or read."""
    from .apply.journal import JournalError

    try:
        yield
    except JournalError as error:
        raise FileOperationError(
            f'{error}.',
            recommendation='A run that deletes has to write its journal, below the '
            "configuration folder of az. 'az acr prune history list' shows which there are.",
        ) from error


def excess_error(excess: object) -> ValidationError:
    """The error of a guard rail: nothing at all was deleted."""
    return ValidationError(
        f'Nothing was deleted, because {excess}.',
        recommendation='Look at the plan, and allow more with --max-percent or --max-deletions.',
    )


def file_error(path: str, error: Exception) -> FileOperationError:
    """The error of a file that cannot be read or written, or that is no text."""
    reason = error.strerror if isinstance(error, OSError) else 'it is not text in UTF-8'
    return FileOperationError(
        f"The file '{path}' cannot be used: {reason}.", recommendation='Give a path that exists and that you may use.'
    )


def _from_asking(error) -> Exception:
    """The error of a live system, or of a log, that does not tell what is in use."""
    from .pins.pulls import LONGEST_SILENCE, BadLog, LogTooShort, day_of

    days = LONGEST_SILENCE // 86_400
    if isinstance(error, BadLog):
        return AzureResponseError(
            f'Nothing was deleted, because the log of pulls cannot be read: {error}.',
            recommendation='Leave out --pulled-within or --workspace, or try again later.',
        )
    if not isinstance(error, LogTooShort):
        return AzureResponseError(
            f'Nothing was deleted, because {error.source} could not be asked: {error}.',
            recommendation=error.advice or 'Try again later, or leave this source out.',
        )
    if error.since is None:
        return ValidationError(
            f'Nothing was deleted, because the workspace has no event of this registry in the last {days} days.',
            recommendation="Send the logs of the registry there: 'az monitor diagnostic-settings create' with the "
            'category ContainerRegistryRepositoryEvents.',
        )
    return ValidationError(
        f'Nothing was deleted, because the logs have no hole of {days} days only since {day_of(error.since)}: they '
        'cannot tell what was pulled before.',
        recommendation=f'This --pulled-within works from {error.works_from} on. Until then, give a shorter one.',
    )


def _from_registry(error, registry: str):
    from .registry.protocol.refusals import Kind

    what = f"The registry '{registry}' could not be read: {error}."
    advice = {
        Kind.UNAUTHENTICATED: (UnauthorizedError, "Check --username and --password, or sign in with 'az login'."),
        Kind.FORBIDDEN: (
            ForbiddenError,
            'Reading needs the roles AcrPull and the right to list the repositories; '
            'give --repository by name where the catalog may not be listed.',
        ),
        Kind.NOT_FOUND: (ResourceNotFoundError, 'Check that the name is that of a container registry.'),
        Kind.BUSY: (AzureResponseError, 'Try again later, or with a smaller --concurrency.'),
        Kind.UNAVAILABLE: (AzureResponseError, 'Try again later.'),
        Kind.OUT_OF_TIME: (
            AzureResponseError,
            'The time was over before the repositories were listed: give a longer --time-limit.',
        ),
        Kind.UNREACHABLE: (AzureConnectionError, 'Check the network, a proxy, and the certificate of the server.'),
        Kind.NOT_A_REGISTRY: (AzureResponseError, 'Check that the name is that of a container registry.'),
    }
    kind, recommendation = advice.get(error.kind, (CLIInternalError, 'Run the command again with --debug.'))
    return kind(what, recommendation=recommendation)
