"""Our errors -> azure-cli's typed errors, at one place: a sentence of what, a sentence of what to do."""
from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from azure.cli.core.azclierror import (
    AzureConnectionError, AzureResponseError, CLIInternalError, FileOperationError, ForbiddenError, ManualInterrupt,
    ResourceNotFoundError, UnauthorizedError)


@contextmanager
def typed_errors(registry: str) -> Iterator[None]:
    """Raise azure-cli's errors in place of ours."""
    from .inventory.scan import UnknownRepository
    from .registry.errors import RegistryError
    try:
        yield
    except UnknownRepository as error:
        raise ResourceNotFoundError(
            f"The repository '{error}' is not in the registry '{registry}'.",
            recommendation=f"List the repositories with 'az acr repository list --name {registry}'.") from error
    except RegistryError as error:
        raise _from_registry(error, registry) from error
    except KeyboardInterrupt as error:
        raise ManualInterrupt('Interrupted before the work was done.', recommendation='See what is left with '
                              f"'az acr prune plan --registry {registry}'.") from error


def file_error(path: str, error: OSError) -> FileOperationError:
    """The error of a file that cannot be read or written."""
    return FileOperationError(f"The file '{path}' cannot be used: {error.strerror}.",
                              recommendation='Give a path that exists and that you may write to.')


def _from_registry(error, registry: str):
    from .registry.errors import Kind
    what = f"The registry '{registry}' could not be read: {error}."
    advice = {
        Kind.UNAUTHENTICATED: (UnauthorizedError, "Check --username and --password, or sign in with 'az login'."),
        Kind.FORBIDDEN: (ForbiddenError, 'Reading needs the roles AcrPull and the right to list the repositories; '
                         'give --repository by name where the catalog may not be listed.'),
        Kind.NOT_FOUND: (ResourceNotFoundError, 'Check that the name is that of a container registry.'),
        Kind.BUSY: (AzureResponseError, 'Try again later, or with a smaller --concurrency.'),
        Kind.UNAVAILABLE: (AzureResponseError, 'Try again later.'),
        Kind.UNREACHABLE: (AzureConnectionError, 'Check the network, a proxy, and the certificate of the server.'),
        Kind.NOT_A_REGISTRY: (AzureResponseError, 'Check that the name is that of a container registry.'),
    }
    kind, recommendation = advice.get(error.kind, (CLIInternalError, 'Run the command again with --debug.'))
    return kind(what, recommendation=recommendation)
