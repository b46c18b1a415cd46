"""The report of a run as an artifact in the registry, under a tag that is always on the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knack.log import get_logger

from ..prune_error import Kind, PruneError
from .command import Command
from .options import RegistryOptions, ScanOptions, SignInOptions, StateOptions
from .schedule_artifacts import delete_own, push
from .session import open_session

if TYPE_CHECKING:
    from ..registry.client import Registry

logger = get_logger(__name__)

_NEEDS = ' This needs the role AcrPush, or Container Registry Repository Writer.'
_LOOK = 'Run the command again, or without --report-tag.'
_NOT_OURS = 'What %s was on before stays: %s is no report, is locked, or has another tag.'
_STAYS = 'The report before this one stays in %s, without a tag: it is locked, or this identity may not delete it.'


def publish_report(cmd: Command, sign_in: SignInOptions, markdown: str, reference: str) -> None:
    """Have a report under `repository:tag`, and delete the one before where that is allowed. Raises AzCLIError."""
    options = RegistryOptions(sign_in, scan=ScanOptions(no_cache=True), state=StateOptions(no_cache=True))
    with open_session(cmd, options, publishing=True) as session:
        session.run(publish(session.door, reference, markdown))


async def publish(registry: Registry, reference: str, markdown: str) -> None:
    """As `publish_report`, through an open registry. Raises PruneError."""
    from ..registry.protocol.refusals import RegistryError
    from ..schedules.artifact import report_of

    repository, _, tag = reference.partition(':')
    artifact = report_of(markdown)
    try:
        before = await registry.tag_digest(repository, tag)
        await push(registry, repository, tag, artifact)
    except RegistryError as error:
        needs = _NEEDS if error.kind is Kind.FORBIDDEN else ''
        raise PruneError(f'The report is not pushed to {reference}: {error}.{needs}', _LOOK, error.kind) from error
    if before is None or before == artifact.digest:
        return
    try:
        if not await delete_own(registry, repository, tag, before):
            logger.info(_NOT_OURS, reference, before)
    except RegistryError as error:
        if error.kind not in (Kind.FORBIDDEN, Kind.LOCKED):
            raise
        logger.info(_STAYS, repository)
