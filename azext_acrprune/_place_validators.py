"""Files, folders and containers as arguments name them, or a typed error that says what to write instead."""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from azure.cli.core.azclierror import InvalidArgumentValueError, RequiredArgumentMissingError

if TYPE_CHECKING:
    from knack.arguments import CLICommandArgument

_CONTAINER = re.compile(r'azure-blob:[a-z0-9]{3,24}/[a-z0-9]([a-z0-9-]{1,61})[a-z0-9]\Z')
_STATE_BLOB = re.compile(_CONTAINER.pattern.removesuffix(r'\Z') + r'(?:/[\w.-]+)*\Z', re.ASCII)
_PLAN_NAME = re.compile(r'state:[A-Za-z0-9_][\w.-]{0,99}\Z', re.ASCII)
_REPORT = re.compile(r'acrprune/reports:[a-z0-9][a-z0-9-]{0,99}\Z')
_QUERY = re.compile(r'\?\w+=|&(sig|sv)=')
_STORAGE = re.compile(r'\.(blob|dfs|file)\.')

_POLICY = 'a policy file'
_FILE = 'the file to write'
_PLACE = 'a directory, or azure-blob:ACCOUNT/CONTAINER'
_NAMING = {
    'archive': _PLACE,
    'from_registry': 'a registry',
    'inventory_file': 'a file that plan --inventory-out wrote',
    'inventory_out': _FILE,
    'journal': "a run, as 'az acr prune history list' has them",
    'machine': 'a machine',
    'markdown': _FILE,
    'marks': 'a folder',
    'metrics_file': _FILE,
    'name': 'a name',
    'new_policy': _POLICY,
    'old_policy': _POLICY,
    'out': _FILE,
    'pins': 'a file or a folder',
    'plan_file': 'a plan',
    'policy_file': _POLICY,
    'repository': 'a repository',
    'run': "a run, as 'az acr prune history list' has them",
    'run_id': 'a run, by its id',
    'state': _PLACE,
    'summary_file': _FILE,
    'tests_file': 'a file of tests',
    'workspace': 'a workspace',
}
"""What each option names for which an empty text would mean that it was left out, or anything at all."""


def refuse_empty_names(arguments: Mapping[str, CLICommandArgument], namespace: Namespace) -> None:
    """Raise where an option is given and names nothing, as with a variable of the shell that is not set.

    Without a policy that was meant, a run deletes what the policy protects.
    """
    for name, what in _NAMING.items():
        given = getattr(namespace, name, None)
        texts = given if isinstance(given, list) else [given]
        if any(isinstance(text, str) and not text.strip() for text in texts):
            settings = arguments[name].type.settings
            option = settings['options_list'][0]
            leave = '' if settings.get('required') else f', or leave {option} out'
            raise InvalidArgumentValueError(
                f'{option}: nothing is named.',
                recommendation=f'Give {what}{leave}. A variable of the shell that is not set is an empty text.',
            )


def validate_archive(namespace: Namespace) -> None:
    """Also that what belongs to --archive is not given alone: it would archive nothing."""
    archive = namespace.archive
    if archive is not None:
        _check_archive(archive)
        return
    for option, is_given in (
        ('--archive-content', getattr(namespace, 'archive_content', 'all') != 'all'),
        ('--new-archive', getattr(namespace, 'new_archive', False)),
    ):
        if is_given:
            raise RequiredArgumentMissingError(
                f'{option} belongs to --archive, and nothing says where to archive.', recommendation='Give --archive.'
            )


def _check_archive(archive: str) -> None:
    """Raise when this is neither a directory nor a container. What may be a signature is not said again.

    A word and a colon is a scheme, and an address without one is no directory either: a container that is spelled
    wrong must not become a directory of that name.
    """
    plain = re.split(r'[^\w:./\\-]', archive.strip(), maxsplit=1, flags=re.ASCII)[0]
    shown = plain if '@' not in archive else plain.partition(':')[0]
    advice = 'Give a directory, or azure-blob:ACCOUNT/CONTAINER.'
    if archive.startswith('azure-blob:'):
        if not _CONTAINER.match(archive):
            raise InvalidArgumentValueError(
                f"--archive: '{shown}' is not a container of a storage account.", recommendation=advice
            )
        return
    first = re.split(r'[/\\]', os.path.splitdrive(archive)[1].lstrip('/\\'))[0]
    if ':' in first or _STORAGE.search(first) or _QUERY.search(archive):
        raise InvalidArgumentValueError(
            f"--archive: '{shown}' is neither a directory nor a container of a storage account.",
            recommendation=f'{advice} A directory whose name has a colon is ./NAME.',
        )


def validate_state(namespace: Namespace) -> None:
    if namespace.state is not None:
        state = str(namespace.state)
        advice = 'Give a directory, or azure-blob:ACCOUNT/CONTAINER, or azure-blob:ACCOUNT/CONTAINER/PREFIX.'
        if state.startswith('azure-blob:') and not _STATE_BLOB.match(state):
            raise InvalidArgumentValueError(
                '--state: that is not a container of a storage account.', recommendation=advice
            )
        first = re.split(r'[/\\]', os.path.splitdrive(state)[1].lstrip('/\\'))[0]
        is_place = state.startswith('azure-blob:') or ':' not in first
        if not is_place or _STORAGE.search(first) or _QUERY.search(state):
            raise InvalidArgumentValueError(
                '--state: that is neither a directory nor a container of a storage account.', recommendation=advice
            )


def validate_out(namespace: Namespace) -> None:
    """Find out that a file cannot be written before an hour of scanning, not after it; leaves no trace."""
    out = str(namespace.out or '')
    if out.startswith('state:'):
        _check_plan_in_state('--out', out)
    elif out:
        from ._errors import file_error

        is_new = not os.path.exists(namespace.out)
        try:
            with open(namespace.out, 'a', encoding='utf-8'):
                pass
            if is_new:
                os.remove(namespace.out)
        except OSError as error:
            raise file_error(namespace.out, error) from error


def validate_plan_file(namespace: Namespace) -> None:
    path = str(namespace.plan_file or '')
    if path.startswith('state:'):
        _check_plan_in_state('--plan', path)


def _check_plan_in_state(option: str, path: str) -> None:
    if not _PLAN_NAME.match(path):
        raise InvalidArgumentValueError(
            f"{option}: '{path}' is no name of a plan in a state.",
            recommendation='Give state:NAME; a name has letters, digits, dots, dashes and underscores.',
        )


def validate_report_tag(namespace: Namespace) -> None:
    """A tag of our own namespace: the manifest that it was on is deleted."""
    reference = namespace.report_tag
    if reference is not None and not _REPORT.match(reference):
        raise InvalidArgumentValueError(
            f"--report-tag: '{reference}' is not the tag of a report.",
            recommendation="Give a tag such as 'acrprune/reports:nightly'.",
        )
