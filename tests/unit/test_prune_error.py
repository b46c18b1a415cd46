"""What users read when a command fails, and as which of azure-cli's errors."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from azure.cli.core.azclierror import AzureResponseError, FileOperationError, ManualInterrupt, ValidationError

import azext_acrprune
from azext_acrprune._errors import TYPES, as_azure_error, typed_errors
from azext_acrprune.archive.pure.choose import NotInArchive
from azext_acrprune.decide.name_errors import Locked, NotAnImage
from azext_acrprune.inventory.scan import UnknownRepository
from azext_acrprune.pins.pinned import Incomplete, Problem
from azext_acrprune.pins.pulls import LogTooShort
from azext_acrprune.prune_error import Kind, PruneError
from azext_acrprune.registry.protocol.refusals import ADVICE, RegistryError
from azext_acrprune.sources.failure import AskError
from azext_acrprune.sources.pin_files import NothingPinned, SourceError

NO_ERRORS_OF_OURS = {
    'BadPattern',
    'BadSyntax',
    'Full',
    'Leased',
    'NotKept',
    'OtherVersion',
    'OutOfDate',
    'TooLate',
    '_TooMuch',
}
"""Exceptions that are caught close to where they are raised, and made into a problem or one of our errors there."""

SAID = [
    (PruneError('It cannot be done.', 'Do something else.'), 'It cannot be done.', 'Do something else.'),
    (
        UnknownRepository('a'),
        "The repository 'a' is not in the registry 'contoso'.",
        "List the repositories with 'az acr repository list --name contoso'.",
    ),
    (
        NotInArchive('a:{registry}'),
        "The archive does not hold 'a:{registry}'.",
        "See what it holds with 'az acr prune archive list --archive ARCHIVE'.",
    ),
    (
        Locked(('a:1 (writeEnabled=false)', ('--image', 'a:1')), ('a:2 (x)', ('--image', 'a:2'))),
        'Nothing was deleted, because this is locked: a:1 (writeEnabled=false), a:2 (x).',
        "Unlock them with 'az acr repository update --name contoso --image a:1 --delete-enabled true "
        "--write-enabled true' and 'az acr repository update --name contoso --image a:2 --delete-enabled true "
        "--write-enabled true', or leave them.",
    ),
    (
        NotAnImage("The repository 'team/*' is not there.", None),
        "The repository 'team/*' is not there.",
        "List the repositories with 'az acr repository list --name contoso'.",
    ),
    (
        NotAnImage("'team/*:v1' was not retired.", 'team/*'),
        "'team/*:v1' was not retired.",
        "List the repositories with 'az acr repository list --name contoso'.",
    ),
    (
        NotAnImage("The repository 'app' has no tag 'v1'.", 'app'),
        "The repository 'app' has no tag 'v1'.",
        "List the manifests of the repository with 'az acr manifest list-metadata --registry contoso --name app'.",
    ),
    (
        Incomplete((Problem('it is cut off', 'a.yaml', 3), Problem('b', 'c'))),
        'Nothing was deleted, because the pins are not all known: a.yaml:3: it is cut off and 1 more.',
        'Correct what is wrong; or leave out --strict-pins, and give --no-strict-pins with --yes, '
        'to be warned instead.',
    ),
    (
        SourceError('a.yaml', 'it is closed'),
        "Nothing was deleted, because the pins in 'a.yaml' could not be read: it is closed.",
        'Give files and folders that exist, or - for what another command wrote.',
    ),
    (
        NothingPinned('a.yaml'),
        "Nothing was deleted, because 'a.yaml' pins nothing: it names no image of this registry.",
        'Give what names images by the login server, or the folder that it is in; --alias says other domains.',
    ),
    (
        AskError('kubectl', 'it is not there'),
        'Nothing was deleted, because kubectl could not be asked: it is not there.',
        'Try again later, or leave this source out.',
    ),
    (
        AskError('kubectl', 'it is not there', 'Install it.'),
        'Nothing was deleted, because kubectl could not be asked: it is not there.',
        'Install it.',
    ),
    (
        LogTooShort(None, 1),
        'Nothing was deleted, because the workspace has no event of this registry in the last 7 days.',
        "Send the logs of the registry there: 'az monitor diagnostic-settings create --name acrprune --resource "
        'RESOURCE_ID_OF_THE_REGISTRY --workspace WORKSPACE --logs '
        '"[{category:ContainerRegistryRepositoryEvents,enabled:true}]"\'.',
    ),
    (
        LogTooShort(0, 86_400),
        'Nothing was deleted, because the logs have no hole of 7 days only since 1970-01-01: they cannot tell what '
        'was pulled before.',
        'This --pulled-within works from 1970-01-03 on. Until then, give a shorter one.',
    ),
    (
        RegistryError(Kind.BUSY, 'too many', 429, 'TOOMANY'),
        "The registry 'contoso' could not be read: too many (TOOMANY).",
        'Try again later, or with a smaller --concurrency.',
    ),
    (
        RegistryError(Kind.LOCKED, '{message}'),
        "The registry 'contoso' could not be read: {message}.",
        'Run the command again with --debug.',
    ),
]


@pytest.mark.parametrize('error, sentence, advice', SAID, ids=lambda value: type(value).__name__)
def test_an_error_says_what_and_what_to_do(error, sentence, advice):
    assert error.told('contoso') == (sentence, advice)


def test_every_kind_is_one_type_of_azure_cli():
    assert set(TYPES) == set(Kind) and set(ADVICE) <= set(Kind)


@pytest.mark.parametrize('kind', Kind)
def test_the_type_carries_sentence_and_advice(kind):
    error = as_azure_error(PruneError('What.', 'Do.', kind))
    assert type(error) is TYPES[kind] and str(error) == 'What.' and error.recommendations == ['Do.']


@pytest.mark.parametrize(
    'kind, expected',
    [(Kind.REFUSED, ValidationError), (Kind.FILE, FileOperationError), (Kind.BUSY, AzureResponseError)],
)
def test_an_error_leaves_as_its_type(kind, expected):
    with pytest.raises(expected), typed_errors():
        raise PruneError('What.', 'Do.', kind)


def test_commands_in_an_advice_name_the_registry_with_what_belongs_to_its_name():
    assert (
        "repository list --name contoso --suffix abc'"
        in UnknownRepository('a').told('contoso', 'contoso --suffix abc')[1]
    )


def test_ctrl_c_is_an_error_whatever_is_worked_on():
    for registry in ('contoso', ''):
        with pytest.raises(ManualInterrupt), typed_errors(registry):
            raise KeyboardInterrupt


def test_every_exception_of_ours_is_the_one_error():
    for module in pkgutil.walk_packages(azext_acrprune.__path__, 'azext_acrprune.'):
        found = vars(importlib.import_module(module.name)).values()
        for each in found:
            if isinstance(each, type) and issubclass(each, Exception) and each.__module__ == module.name:
                assert issubclass(each, PruneError) or each.__name__ in NO_ERRORS_OF_OURS, f'{module.name}: {each}'
