"""The commands: gather, decide, show or apply. Options that several commands share arrive together, as `kwargs`."""
from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple, Type, TypeVar

from azure.cli.core.azclierror import NoTTYError, ValidationError
from knack.log import get_logger

from ._errors import excess_error, file_error, policy_errors, typed_errors
from .model import TICKS_PER_SECOND

logger = get_logger(__name__)

PERCENT_WITHOUT_A_QUESTION = 50
"""Nobody looks at the preview of a run with --yes: more of a repository's tagged manifests needs to be said."""

_AGO_ZERO = ('--ago 0 takes pushes in flight too: a multi-arch push uploads its images untagged, and their index last. '
             'Give an age that no push exceeds where somebody may be pushing.')
_ASK = 'Delete them? Deleted image data cannot be recovered. (? lists them all)'
_ASK_UNTAG = 'Remove these tags? (? lists them all)'
_CONFIRMATION_WORD = 'unlock'

_CACHE_TROUBLE = ("The cache of manifests could not be used as it was: %s. What it did not give was read from the "
                  "registry. 'az acr prune cache clear' removes it, --no-cache does without it.")

Options = Mapping[str, Any]
Record = TypeVar('Record')


def plan(cmd, show_kept=False, out=None, policy_file=None, **kwargs):
    """What may be deleted, and what that frees; deletes nothing."""
    from .decide.guard import first_excess
    policy = _policy(kwargs, policy_file)
    with _open(cmd, kwargs) as session:
        decision = session.decide(policy)
    document = session.document(decision, show_kept)
    excess = first_excess(decision, policy.limits)
    if excess:
        logger.warning('The plan is over a limit of its policy and will not be carried out: %s.', excess)
    if out:
        _write(document, out)
    _exit_with_failure(cmd, _unread(document))
    return document


def untagged(cmd, **kwargs):
    """Delete what is untagged and needed by nothing."""
    return _prune(cmd, kwargs)


def tags(cmd, **kwargs):
    """Remove tags by pattern, age and number, and delete what is left without a tag."""
    return _prune(cmd, kwargs)


def image(cmd, images, untag=False, **kwargs):
    """Delete images by name, with their platform images and attachments; or remove tags alone."""
    from .decide.named import decide_images, decide_untag
    decide = decide_untag if untag else decide_images
    selection = _exactly(name.repository for name in images)
    return _delete(cmd, kwargs, lambda session: decide(
        session.scan(selection, tags=True), images, kwargs['include_locked']))


def repository(cmd, name, **kwargs):
    """Delete a whole repository."""
    from .decide.named import decide_repository
    return _delete(cmd, kwargs, lambda session: decide_repository(session.scan(_exactly([name]), tags=True), name))


def apply(cmd, plan_file, max_age='24h', **kwargs):
    """Carry out a plan, and nothing but the plan; after an interruption, go on where it stopped."""
    from .documents.applied import applied_bytes, decide_as_planned, read_plan
    from .policy.ages import parse_ago
    text = _read(plan_file)

    def decide(session):
        planned = read_plan(text, session.host, session.now, parse_ago(max_age))
        inventory = session.scan(_exactly(planned.repositories, required=False), tags=True)
        session.planned, session.earlier = planned.document, applied_bytes(planned, inventory)
        return decide_as_planned(planned, inventory)
    return _delete(cmd, kwargs, decide)


def explain(cmd, images, policy_file=None, **kwargs):
    """The whole decision for one image."""
    from .documents.explain import explain as explained
    policy = _policy(kwargs, policy_file)
    with _open(cmd, kwargs) as session:
        document = explained(session.decide(policy), images[0])
    logger.warning(document['explanation'])
    return document


def policy_validate(policy_file):
    """Check a policy file."""
    policy = _read_policy(policy_file, ())
    return {'valid': True, 'rules': [rule.name for rule in policy.rules]}


def policy_show_schema():
    from .policy.file import schema
    return schema()


def policy_show_example(name):
    from .policy.file import example
    return example(name)


def cache_show(cmd, registry_name, suffix=None):
    """What the cache holds for a registry; asks nobody."""
    from .inventory.cache import describe
    host, path = _cache_of(cmd, registry_name, suffix)
    return _cache_document(host, describe(path))


def cache_clear(cmd, registry_name, suffix=None):
    """Delete the cache of a registry, in whatever state it is, and say what it held."""
    from .inventory.cache import describe, remove
    host, path = _cache_of(cmd, registry_name, suffix)
    held = describe(path)
    try:
        remove(path)
    except OSError as error:
        raise file_error(str(path), error) from error
    return _cache_document(host, held)


class _Session:
    """One signed-in registry during one command.

    `planned` is the document of the plan that is carried out, if any, and `earlier` the bytes that it freed before.
    """

    def __init__(self, registry: Any, host: str, options: Options, reporter: Any, facts: Any,
                 cache: Any) -> None:
        self.host = host
        self.planned: Optional[Dict[str, Any]] = None
        self.earlier: Any = None
        self._registry = registry
        self._options = options
        self._reporter = reporter
        self._facts = facts
        self._cache = cache
        self._moment = datetime.now(timezone.utc)

    @property
    def now(self) -> int:
        """The instant at which the command began, in ticks."""
        return int(self._moment.timestamp() * TICKS_PER_SECOND)

    def scan(self, selection: Any, tags: bool = False, labels: bool = False) -> Any:
        from .inventory.scan import Extent, scan
        extent = Extent(selection, self._options['impact'] == 'bound', tags, labels, self._options['concurrency'])
        return scan(self._registry, self.host, extent, self._reporter, self._cache)

    def decide(self, policy: Any) -> Any:
        """Scan the registry and judge every manifest of it."""
        from .decide.decision import decide
        inventory = self.scan(policy.selection, policy.takes_tags, policy.asks_for_labels)
        return decide(inventory, policy, self.now)

    def document(self, decision: Any, show_kept: bool = False) -> Dict[str, Any]:
        from .documents.plan import plan_document
        return plan_document(decision, self._moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ'), show_kept,
                             self._facts.soft_delete_days)

    def execute(self, decision: Any) -> Dict[str, Any]:
        from .apply.execute import execute
        from .documents.result import result_document
        outcome = execute(self._registry, decision, self._options['concurrency'], self._reporter, time.monotonic)
        return result_document(decision, outcome, self._facts.soft_delete_days, self.earlier)


@contextmanager
def _open(cmd, options: Options) -> Iterator[_Session]:
    """Sign in and open the registry; every error inside becomes one of azure-cli's."""
    from azure.cli.core.commands.client_factory import prepare_client_kwargs_track2

    from .registry.client import Registry
    from .registry.credentials import registry_facts, sign_in
    from .registry.pacing import Pacer
    from .registry.pipeline import open_client
    from .registry.retries import PacingPolicy
    from .registry.tokens import TokenBook
    from .show.progress import progress
    name, group = options['registry_name'], options['resource_group_name']
    with typed_errors(name):
        signed_in = sign_in(cmd, name, group, options['suffix'], options['username'], options['password'])
        endpoint = f'https://{signed_in.host}'
        book = TokenBook(signed_in.host, signed_in.credential, time.time())
        facts = registry_facts(cmd, name, group)
        with progress(cmd.cli_ctx) as reporter, _cache(cmd, signed_in.host, options['no_cache']) as cache:
            pacing = PacingPolicy(Pacer(facts.sku, options['max_rate']), reporter.throttled)
            with open_client(endpoint, book, signed_in.renew, options['concurrency'], pacing,
                             prepare_client_kwargs_track2(cmd.cli_ctx)) as client:
                yield _Session(Registry(client, book, endpoint), signed_in.host, options, reporter, facts, cache)


@contextmanager
def _cache(cmd, host: str, no_cache: bool) -> Iterator[Any]:
    """The cache of the registry; whatever is wrong with it is a warning, never an error."""
    from .inventory.cache import ManifestCache, NoCache, cache_path
    today = datetime.now(timezone.utc).toordinal()
    cache = NoCache() if no_cache else ManifestCache(cache_path(cmd.cli_ctx.config.config_dir, host), today)
    try:
        yield cache
    finally:
        cache.close()
        if cache.trouble:
            logger.warning(_CACHE_TROUBLE, cache.trouble)


def _cache_of(cmd, name: str, suffix: Optional[str]) -> Tuple[str, Any]:
    """The login server as az puts it together without asking, and where its cache is."""
    from azure.cli.command_modules.acr._docker_utils import get_login_server_suffix

    from .inventory.cache import cache_path
    label = f'-{suffix}' if suffix else ''
    host = f'{name}{label}{get_login_server_suffix(cmd.cli_ctx) or ""}'.lower()
    return host, cache_path(cmd.cli_ctx.config.config_dir, host)


def _cache_document(host: str, facts: Any) -> Dict[str, Any]:
    return {'registry': host, 'path': facts.path, 'manifests': facts.manifests, 'bytes': facts.size,
            'readable': facts.readable, 'schemaVersion': facts.schema_version}


def _prune(cmd, options: Options) -> Optional[Dict[str, Any]]:
    return _delete(cmd, options, lambda session: session.decide(_policy(options)))


def _delete(cmd, options: Options, decide: Callable[[_Session], Any]) -> Optional[Dict[str, Any]]:
    """Decide, preview, ask, delete, and say what became of it: the life of every command that deletes."""
    yes, dry_run = options['yes'], options['dry_run']
    if not dry_run:
        _refuse_without_consent(cmd, yes)
    with _open(cmd, options) as session:
        decision = decide(session)
        document = session.planned or session.document(decision)
        unread = session.planned is None and _unread(document)
        if dry_run:
            _exit_with_failure(cmd, unread)
            return document
        _hold_to_limits(decision, options, _confirmed(cmd, yes))
        if not _consent(cmd, document, yes):
            return None
        result = session.execute(decision)
    summary = result['summary']
    _exit_with_failure(cmd, unread or summary['failed'] or summary['interrupted'])
    return result


def _hold_to_limits(decision: Any, options: Options, confirmed: bool) -> None:
    """Raise when more would go than is allowed, by the options, by the policy, or without anybody looking at it."""
    from .decide.guard import first_excess
    from .policy.file import limits_of
    from .policy.rules import Limits
    if 'max_percent' not in options:
        return
    of_policy = limits_of(decision.given.get('file', {}))
    percent = options['max_percent'] if options['max_percent'] is not None else of_policy.percent
    if percent is None and confirmed:
        percent = PERCENT_WITHOUT_A_QUESTION
    excess = first_excess(decision, Limits(options['max_deletions'], of_policy.manifests, percent))
    if excess:
        raise excess_error(excess)


def _policy(options: Options, policy_file: Optional[str] = None) -> Any:
    from .policy.ages import DEFAULT_AGO
    from .policy.flags import Flags, policy_of
    if policy_file:
        return _read_policy(policy_file, options['repository'] or ())
    given = {**options, 'ago': options['ago'] or DEFAULT_AGO}
    policy = policy_of(_of(Flags, given))
    if any(rule.age.seconds == 0 for rule in policy.rules):
        logger.warning(_AGO_ZERO)
    return policy


def _of(record: Type[Record], options: Options) -> Record:
    """A record of those options that it has fields for; az marks its defaults with subclasses of str and int."""
    plain = {str: str, int: int, list: tuple}
    given = {field.name: options[field.name] for field in fields(record) if options.get(field.name) is not None}
    return record(**{name: next((make(value) for kind, make in plain.items()
                                 if isinstance(value, kind) and not isinstance(value, bool)), value)
                     for name, value in given.items()})


def _exactly(names: Any, required: bool = True) -> Any:
    """The selection of repositories by name; those that are `required` have to exist."""
    from .policy.patterns import glob
    from .policy.rules import Selection
    patterns = tuple(glob(name) for name in sorted(set(names)))
    return Selection(patterns) if required else Selection((), (patterns,))


def _read_policy(path: str, repositories: Any) -> Any:
    from .policy.file import parse_policy
    with policy_errors(path):
        return parse_policy(_read(path), tuple(repositories))


def _read(path: str) -> str:
    try:
        with open(path, encoding='utf-8-sig') as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise file_error(path, error) from error


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
    from knack.prompting import prompt, prompt_y_n

    from .show.preview import full_list, has_locked, is_empty, preview_lines
    preview = '\n'.join(preview_lines(document))
    if _confirmed(cmd, yes) or is_empty(document):
        logger.warning(preview)
        return True
    print(preview, file=sys.stderr)
    if not prompt_y_n(_ASK if document['delete'] else _ASK_UNTAG, default='n', help_string=full_list(document)):
        return False
    if has_locked(document) and prompt(f"Type '{_CONFIRMATION_WORD}' to take off the locks: ") != _CONFIRMATION_WORD:
        raise ValidationError('What is locked was not confirmed, and nothing was deleted.',
                              recommendation=f"Type '{_CONFIRMATION_WORD}' when asked, or leave out --include-locked.")
    return True


def _exit_with_failure(cmd, failure: Any) -> None:
    """Let az answer as ever, and exit with 1 after it when something was not done."""
    if failure:
        from knack.events import EVENT_CLI_SUCCESSFUL_EXECUTE
        cmd.cli_ctx.register_event(EVENT_CLI_SUCCESSFUL_EXECUTE, _exit_with_1)


def _exit_with_1(*_, **__) -> None:
    sys.exit(1)
