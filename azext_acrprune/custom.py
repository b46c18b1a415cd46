"""The commands: gather, decide, show or apply."""
from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, Optional, Tuple

from azure.cli.core.azclierror import NoTTYError
from knack.log import get_logger

from ._errors import file_error, typed_errors
from .model import TICKS_PER_SECOND
from .policy.ages import DEFAULT_AGO, parse_ago
from .policy.rules import UntaggedPolicy

logger = get_logger(__name__)

_AGO_ZERO = ('--ago 0 takes pushes in flight too: a multi-arch push uploads its images untagged, and their index last. '
             'Give an age that no push exceeds where somebody may be pushing.')


@dataclass(frozen=True)
class _Target:
    """Which registry, as whom, and how fast."""

    name: str
    resource_group: Optional[str]
    suffix: Optional[str]
    username: Optional[str]
    password: Optional[str]
    concurrency: int
    max_rate: Optional[int]


def plan(cmd, registry_name, resource_group_name=None, suffix=None, username=None, password=None, repository=None,
         ago=DEFAULT_AGO, keep=0, impact='exact', concurrency=32, max_rate=None, show_kept=False, out=None):
    """What may be deleted, and what that frees; deletes nothing."""
    target = _Target(registry_name, resource_group_name, suffix, username, password, concurrency, max_rate)
    with _open(cmd, target) as session:
        decision = session.decide(_policy(ago, keep, repository), impact)
    document = session.document(decision, show_kept)
    if out:
        _write(document, out)
    _exit_with_failure(cmd, _unread(document))
    return document


def untagged(cmd, registry_name, resource_group_name=None, suffix=None, username=None, password=None, repository=None,
             ago=DEFAULT_AGO, keep=0, impact='exact', concurrency=32, max_rate=None, yes=False, dry_run=False):
    """Preview, ask, delete what is untagged and needed by nothing, and say what became of it."""
    target = _Target(registry_name, resource_group_name, suffix, username, password, concurrency, max_rate)
    if not dry_run:
        _refuse_without_consent(cmd, yes)
    with _open(cmd, target) as session:
        decision = session.decide(_policy(ago, keep, repository), impact)
        document = session.document(decision)
        if dry_run:
            _exit_with_failure(cmd, _unread(document))
            return document
        if not _consent(cmd, document, yes):
            return None
        result = session.execute(decision)
    summary = result['summary']
    _exit_with_failure(cmd, _unread(document) or summary['failed'] or summary['interrupted'])
    return result


class _Session:
    """One signed-in registry during one command."""

    def __init__(self, registry: Any, host: str, concurrency: int, reporter: Any, facts: Any) -> None:
        self._registry = registry
        self._host = host
        self._concurrency = concurrency
        self._reporter = reporter
        self._facts = facts
        self._now = datetime.now(timezone.utc)

    def decide(self, policy: UntaggedPolicy, impact: str) -> Any:
        """Scan the registry and judge every manifest of it."""
        from .decide.decision import decide
        from .inventory.scan import Extent, scan
        extent = Extent(policy.repositories, impact == 'bound', self._concurrency)
        inventory = scan(self._registry, self._host, extent, self._reporter)
        return decide(inventory, policy, int(self._now.timestamp() * TICKS_PER_SECOND))

    def document(self, decision: Any, show_kept: bool = False) -> Dict[str, Any]:
        from .documents.plan import plan_document
        return plan_document(decision, self._now.strftime('%Y-%m-%dT%H:%M:%S.%fZ'), show_kept,
                             self._facts.soft_delete_days)

    def execute(self, decision: Any) -> Dict[str, Any]:
        from .apply.execute import execute
        from .documents.result import result_document
        outcome = execute(self._registry, decision, self._concurrency, self._reporter, time.monotonic)
        return result_document(decision, outcome, self._facts.soft_delete_days)


@contextmanager
def _open(cmd, target: _Target) -> Iterator[_Session]:
    """Sign in and open the registry; every error inside becomes one of azure-cli's."""
    from azure.cli.core.commands.client_factory import prepare_client_kwargs_track2

    from .registry.client import Registry
    from .registry.credentials import registry_facts, sign_in
    from .registry.pacing import Pacer
    from .registry.pipeline import open_client
    from .registry.retries import PacingPolicy
    from .registry.tokens import TokenBook
    from .show.progress import progress
    with typed_errors(target.name):
        signed_in = sign_in(cmd, target.name, target.resource_group, target.suffix, target.username, target.password)
        endpoint = f'https://{signed_in.host}'
        book = TokenBook(signed_in.host, signed_in.credential, time.time())
        with progress(cmd.cli_ctx) as reporter:
            facts = registry_facts(cmd, target.name, target.resource_group)
            pacing = PacingPolicy(Pacer(facts.sku, target.max_rate), reporter.throttled)
            with open_client(endpoint, book, signed_in.renew, target.concurrency, pacing,
                             prepare_client_kwargs_track2(cmd.cli_ctx)) as client:
                yield _Session(Registry(client, book, endpoint), signed_in.host, target.concurrency, reporter, facts)


def _policy(ago: str, keep: int, repositories: Optional[Tuple[str, ...]]) -> UntaggedPolicy:
    seconds = parse_ago(ago)
    if seconds == 0:
        logger.warning(_AGO_ZERO)
    # az marks defaults with subclasses of str and int, which would show in the plan.
    return UntaggedPolicy(str(ago), seconds, int(keep), tuple(repositories or ()))


def _write(document: Dict[str, Any], path: str) -> None:
    try:
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(document, file, indent=2)
            file.write('\n')
    except OSError as error:
        raise file_error(path, error) from error


def _unread(document: Dict[str, Any]) -> bool:
    """Whether the plan is not of the whole registry because something could not be read; says what."""
    from .inventory.scan import UNREAD_REPOSITORY
    unread = [warning for warning in document['warnings'] if warning['code'] == UNREAD_REPOSITORY]
    for warning in unread:
        logger.warning('%s: %s', warning['repository'], warning['message'])
    return bool(unread)


def _refuse_without_consent(cmd, yes: bool) -> None:
    if not _confirmed(cmd, yes) and not sys.stdin.isatty():
        raise NoTTYError('Nobody can be asked before deleting: there is no terminal.',
                         recommendation='Use --yes to delete without a question, or --dry-run to see the plan.')


def _confirmed(cmd, yes: bool) -> bool:
    return yes or cmd.cli_ctx.config.getboolean('core', 'disable_confirm_prompt', fallback=False)


def _consent(cmd, document: Dict[str, Any], yes: bool) -> bool:
    from knack.prompting import prompt_y_n

    from .show.preview import full_list, preview_lines
    preview = '\n'.join(preview_lines(document))
    if _confirmed(cmd, yes) or not document['delete']:
        logger.warning(preview)
        return True
    print(preview, file=sys.stderr)
    return prompt_y_n('Delete them? Deleted image data cannot be recovered. (? lists them all)', default='n',
                      help_string=full_list(document))


def _exit_with_failure(cmd, failure: Any) -> None:
    """Let az answer as ever, and exit with 1 after it when something was not done."""
    if failure:
        from knack.events import EVENT_CLI_SUCCESSFUL_EXECUTE
        cmd.cli_ctx.register_event(EVENT_CLI_SUCCESSFUL_EXECUTE, _exit_with_1)


def _exit_with_1(*_, **__) -> None:
    sys.exit(1)
