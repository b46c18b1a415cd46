"""Where a command runs: the machine, the pipeline, and the versions of what runs."""

from __future__ import annotations

import os
import platform

from ..model import Document

NAME = 'acrprune'

_PIPELINES = (
    ('GitHub Actions', 'GITHUB_RUN_ID', ('GITHUB_REPOSITORY', 'GITHUB_WORKFLOW', 'GITHUB_RUN_ATTEMPT')),
    ('Azure Pipelines', 'BUILD_BUILDID', ('SYSTEM_TEAMPROJECT', 'BUILD_DEFINITIONNAME', 'BUILD_BUILDNUMBER')),
)
"""The name of a system, the variable that has its run, and those that say more of it. No token is in any of them."""


def circumstances() -> Document:
    """What a journal says of where it was written; a pipeline only where one runs."""
    pipeline = pipeline_run()
    said = {'host': platform.node(), 'versions': _versions()}
    return {**said, 'pipeline': pipeline} if pipeline else said


def pipeline_run() -> str | None:
    """The pipeline that runs this command, in words: `GitHub Actions run 123 (contoso/app, nightly)`."""
    for system, run, others in _PIPELINES:
        if os.environ.get(run):
            more = ', '.join(os.environ[name] for name in others if os.environ.get(name))
            return f'{system} run {os.environ[run]}' + (f' ({more})' if more else '')
    return None


def _versions() -> dict[str, str]:
    from azure.cli.core import __version__
    from azure.cli.core.extension import ExtensionNotInstalledException, get_extension

    try:
        own = get_extension(NAME).version
    except ExtensionNotInstalledException:  # it runs from its source
        own = None
    return {'az': __version__, NAME: str(own or 'from source')}
