"""Our error -> azure-cli's typed errors, by one table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.cli.core.azclierror import (
    AzCLIError,
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

from .prune_error import Kind, PruneError
from .spelling import escaped_lines

TYPES: dict[Kind, type[AzCLIError]] = {
    Kind.INVALID: InvalidArgumentValueError,
    Kind.REFUSED: ValidationError,
    Kind.FILE: FileOperationError,
    Kind.NOT_FOUND: ResourceNotFoundError,
    Kind.FORBIDDEN: ForbiddenError,
    Kind.UNAUTHENTICATED: UnauthorizedError,
    Kind.LOCKED: CLIInternalError,
    Kind.BUSY: AzureResponseError,
    Kind.LATE: CLIInternalError,
    Kind.MOVED: CLIInternalError,
    Kind.OUT_OF_TIME: AzureResponseError,
    Kind.STOPPED: ManualInterrupt,
    Kind.UNAVAILABLE: AzureResponseError,
    Kind.UNREACHABLE: AzureConnectionError,
    Kind.MALFORMED: AzureResponseError,
    Kind.NOT_A_REGISTRY: AzureResponseError,
}


@contextmanager
def typed_errors(registry: str = '', target: str = '') -> Iterator[None]:
    """Raise azure-cli's errors in place of ours, and of a stop (Ctrl-C, SIGTERM, SIGHUP)."""
    try:
        yield
    except PruneError as error:
        raise as_azure_error(error, registry, target) from error
    except KeyboardInterrupt as error:
        raise ManualInterrupt(
            'Interrupted before the work was done.', recommendation='Run the same command again to go on.'
        ) from error


def as_azure_error(error: PruneError, registry: str = '', target: str = '') -> AzCLIError:
    """The error of azure-cli that says the same, of the registry that is worked on."""
    sentence, advice = error.told(registry, target)
    return TYPES[error.kind](escaped_lines(sentence), recommendation=escaped_lines(advice))


def file_error(path: str, error: Exception) -> AzCLIError:
    """The error of a file that cannot be read or written, or that is no text."""
    reason = error.strerror if isinstance(error, OSError) else 'it is not text in UTF-8 or UTF-16'
    return as_azure_error(
        PruneError(
            f"The file '{path}' cannot be used: {reason}.", 'Give a path that exists and that you may use.', Kind.FILE
        )
    )
