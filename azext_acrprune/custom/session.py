"""A signed-in registry, for as long as one command takes."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from knack.log import get_logger

from .._errors import typed_errors
from ..model import TICKS_PER_SECOND
from ..timelimit import SHARE_AFTER_ARCHIVING, SHARE_AFTER_READING, TimeLimit

logger = get_logger(__name__)

_CACHE_TROUBLE = (
    'The cache of manifests could not be used as it was: %s. What it did not give was read from the '
    "registry. 'az acr prune cache clear' removes it, --no-cache does without it."
)

_CLOCK_AHEAD = 'The clock of this machine is %.0f seconds ahead of that of the registry, whose time is taken for ages.'

Options = Mapping[str, Any]


class Session:
    """One signed-in registry during one command.

    `planned` is the document of the plan that is carried out, if any, and `earlier` the bytes that it freed before.
    """

    def __init__(
        self,
        cmd: Any,
        registry: Any,
        host: str,
        options: Options,
        reporter: Any,
        facts: Any,
        cache: Any,
        limit: TimeLimit,
    ) -> None:
        self.host = host
        self.planned: dict[str, Any] | None = None
        self.earlier: Any = None
        self._cmd = cmd
        self._registry = registry
        self._options = options
        self._reporter = reporter
        self._facts = facts
        self._cache = cache
        self._moment = datetime.now(timezone.utc)
        self._scanned: Any = None
        self.limit = limit

    @property
    def now(self) -> int:
        """The instant at which the command began, in ticks."""
        return int(self._true_moment.timestamp() * TICKS_PER_SECOND)

    @property
    def _true_moment(self) -> datetime:
        """By the registry's clock where ours is ahead of it: a push under way must not look old."""
        return self._moment - timedelta(seconds=self._registry.clock_ahead)

    @property
    def _began(self) -> str:
        return self._true_moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ')

    def scan(self, selection: Any, tags: bool = False, labels: bool = False, anew: bool = False) -> Any:
        from ..inventory.scan import BY_NAME, OUT_OF_TIME, Extent, scan

        extent = Extent(
            selection,
            self._options['impact'] == 'bound',
            tags,
            labels,
            self._options['concurrency'],
            self._options.get('order') or BY_NAME,
            anew,
        )
        deletes = not self._options.get('dry_run', True)
        with self.limit.keeping(SHARE_AFTER_READING) if deletes else nullcontext():
            inventory = scan(self._registry, self.host, extent, self._reporter, self._cache, self.limit.is_over)
        for warning in inventory.warnings:
            if warning.code == OUT_OF_TIME:
                logger.warning(warning.message)
        if self._registry.clock_ahead:
            logger.warning(_CLOCK_AHEAD, self._registry.clock_ahead)
        self._scanned = inventory
        return inventory

    def pins(self, of_policy: Any = None) -> Any:
        """What is pinned by the files that options, and a policy, name."""
        from ..pins.pinned import Sources
        from .pinning import load_pins

        return load_pins(self._cmd, self._options, self.host, of_policy or Sources())

    def look_up(self, keys: Iterable[Any]) -> Any:
        """How single tags and manifests stand."""
        from ..inventory.lookups import look_up

        return look_up(self._registry, keys, self._options['concurrency'])

    def with_registry(self, work: Callable[[Any], Any]) -> Any:
        """Let something else than deleting be done in the registry."""
        return work(self._registry)

    def decide(self, policy: Any) -> Any:
        """Scan the registry and judge every manifest of it."""
        from ..decide.decision import decide
        from .pulling import load_pulls, wish_of, with_pulls

        policy = replace(policy, pins=self.pins(policy.sources), pulled=wish_of(self._options, policy.pulled))
        pulls = load_pulls(self._cmd, policy.pulled, self.host, self.now) if policy.pulled else None
        inventory = self.scan(policy.selection, policy.takes_tags, policy.asks_for_labels)
        if pulls:
            policy, inventory = with_pulls(pulls, policy, inventory, self.now)
        return decide(inventory, policy, self.now)

    def document(self, decision: Any, show_kept: bool = False, group_by: str | None = None) -> dict[str, Any]:
        from ..documents.plan import plan_document

        price = self._options.get('price')
        return plan_document(
            decision,
            self._began,
            show_kept,
            self._facts.soft_delete_days,
            group_by,
            price,
            self._account() if price else None,
        )

    def report(self, plan: Any) -> dict[str, Any]:
        """Scan the registry and count what a report shows; `plan` is one that was read back, or None."""
        from ..policy.rules import Selection
        from ..usage.report_document import report_document

        return report_document(
            self.scan(Selection()), plan, self._began, self.now, self._account(), self._options['price']
        )

    def usage(self, by: str, top: int | None) -> dict[str, Any]:
        """Scan the registry and count who uses how much of it."""
        from ..policy.rules import Selection
        from ..usage.usage_document import usage_document
        from .pulling import log_of

        workspace = self._options['workspace']
        log = log_of(self._cmd, workspace, self.host, self.now) if workspace else None
        return usage_document(
            self.scan(Selection()), by, top, self._began, self.now, self._account(), self._options['price'], log
        )

    def _account(self) -> Any:
        from ..registry.credentials import registry_account

        return registry_account(
            self._cmd, self._options['registry_name'], self._options['resource_group_name'], self._facts
        )

    def check(self, selection: Any) -> dict[str, Any]:
        """Scan the selected repositories, all that is in them, and say what is wrong."""
        from ..documents.check import check_document

        return check_document(self.scan(selection, tags=True, anew=True), self._began, self._target)

    def validate(self, decision: Any, deleted: AbstractSet[tuple[str, str]]) -> dict[str, Any]:
        """Look again at the repositories that a decision touches. Raises RegistryError.

        `deleted` (repository, digest) are read if they are listed all the same; what stays is known.
        """
        from ..documents.check import validation_document
        from ..inventory.scan import look_again

        touched = {
            repository.name
            for repository in decision.inventory.repositories
            if decision.doomed_in(repository.name) or any(decision.untagged_in(repository))
        }
        seen = [
            replace(
                repository,
                manifests={
                    digest: manifest
                    for digest, manifest in repository.manifests.items()
                    if (repository.name, digest) not in deleted
                },
            )
            for repository in self._scanned.repositories
            if repository.name in touched
        ]
        after = look_again(self._registry, seen, self._options['concurrency'])
        return validation_document(self._scanned, after, sorted(touched), self._target)

    @property
    def _target(self) -> list[str]:
        """How a command names this registry, after its own option for that."""
        suffix = self._options['suffix']
        return [str(self._options['registry_name']), *(['--suffix', str(suffix)] if suffix else [])]

    @property
    def reporter(self) -> Any:
        return self._reporter

    def archive(self, decision: Any, archiving: Any) -> Any:
        """Archive what goes; gives what may be deleted then."""
        from ..archive.write import archive

        with self.limit.keeping(SHARE_AFTER_ARCHIVING):
            return archive(
                self._registry,
                archiving.target,
                decision,
                archiving.layers,
                self._began,
                self._options['concurrency'],
                self._reporter,
                self.limit.is_over,
            )

    def execute(self, decision: Any, journal: Any, safe: Any = None) -> dict[str, Any]:
        """Delete, and write down each request; nothing that is not `safe`, where an archive was asked for."""
        from ..apply.execute import execute
        from ..apply.journal import JournaledRegistry
        from ..archive.precondition import ArchivedRegistry
        from ..documents.result import result_document

        registry: Any = JournaledRegistry(
            self._registry, journal, {repository.name: repository for repository in decision.inventory.repositories}
        )
        if safe:
            registry = ArchivedRegistry(registry, safe.records)
        outcome = execute(
            registry, decision, self._options['concurrency'], self._reporter, time.monotonic, self.limit.is_ending
        )
        if safe:
            outcome = replace(outcome, skipped=(*safe.skipped, *outcome.skipped))
        if outcome.out_of_time:
            logger.warning(
                'The time was over before all was done: %s of the manifests and tags in the preview are '
                'left. The same command goes on from there.',
                f'{outcome.left:,}',
            )
        return result_document(decision, outcome, self._facts.soft_delete_days, self.earlier)


@contextmanager
def open_session(cmd, options: Options, restoring: bool = False) -> Iterator[Session]:
    """Sign in and open the registry, to push to it when `restoring`; every error inside becomes one of azure-cli's."""
    collect_garbage_seldom()
    from ..registry.credentials import registry_facts, sign_in
    from ..registry.pipeline import open_client
    from ..registry.protocol.pacing import Pacer
    from ..registry.protocol.tokens import PRUNING, RESTORING, TokenBook
    from ..registry.pushing import PushingRegistry
    from ..registry.retries import PacingPolicy
    from ..show.progress import progress

    limit = TimeLimit(options.get('time_limit'), time.monotonic)
    name, group = options['registry_name'], options['resource_group_name']
    with typed_errors(name):
        signed_in = sign_in(cmd, name, group, options['suffix'], options['username'], options['password'])
        endpoint = f'https://{signed_in.host}'
        book = TokenBook(signed_in.host, signed_in.credential, time.time(), RESTORING if restoring else PRUNING)
        facts = registry_facts(cmd, name, group)
        with progress(cmd.cli_ctx) as reporter, _cache(cmd, signed_in.host, options['no_cache']) as cache:
            pacing = PacingPolicy(Pacer(facts.sku, options['max_rate']), reporter.throttled, limit=limit)
            with open_client(
                endpoint, book, signed_in.renew, options['concurrency'], pacing, _pipeline_options(cmd)
            ) as client:
                yield Session(
                    cmd, PushingRegistry(client, book, endpoint), signed_in.host, options, reporter, facts, cache, limit
                )


def collect_garbage_seldom() -> None:
    """An inventory is many small objects that all stay: to look through them again and again took a third of a plan."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


def _pipeline_options(cmd) -> dict[str, Any]:
    """az's options for the registry, without its trace of each call where nobody reads that: it takes a third of it."""
    from .azure import pipeline_options

    options = pipeline_options(cmd)
    if not _is_read(logging.getLogger('cli.azure'), logging.DEBUG):
        options.pop('logging_policy', None)
    return options


def _is_read(source: logging.Logger | None, level: int) -> bool:
    """Whether any handler writes what a logger is told; az's loggers themselves take everything."""
    while source:
        if any(handler.level <= level for handler in source.handlers):
            return True
        source = source.parent if source.propagate else None
    return False


@contextmanager
def _cache(cmd, host: str, no_cache: bool) -> Iterator[Any]:
    """The cache of the registry; whatever is wrong with it is a warning, never an error."""
    from ..inventory.cache import ManifestCache, NoCache, cache_path

    path = cache_path(cmd.cli_ctx.config.config_dir, host)
    cache = NoCache() if no_cache else ManifestCache(path, time.time_ns() // 1000)
    try:
        yield cache
    finally:
        cache.close()
        if cache.trouble:
            logger.warning(_CACHE_TROUBLE, cache.trouble)
