"""A signed-in registry, for as long as one command takes."""

from __future__ import annotations

import gc
import logging
import shlex
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from knack.log import get_logger

from .._errors import typed_errors
from ..model import TICKS_PER_SECOND, Account
from ..prune_error import Kind, PruneError
from ..timelimit import TimeLimit
from .command import Command
from .options import RegistryOptions
from .redacting import hide_secrets_in_the_log
from .states import checked_out, kept_folder, state_in_use

if TYPE_CHECKING:
    from ..inventory.cache import Cache
    from ..registry.client import Registry
    from ..registry.counting import CallCount
    from ..registry.credentials import RegistryFacts, SignIn
    from ..registry.endpoints import Endpoints
    from ..registry.halting import Halt
    from ..reporter import Reporter
    from ..workers import Loop

logger = get_logger(__name__)

Result = TypeVar('Result')

_LONGEST_SIGN_IN_SECONDS, _LONGEST_ASK_SECONDS = 300, 3_600
_LATE = 'Try again later; where a --time-limit was given, give a longer one.'

_CACHE_TROUBLE = (
    'The cache of manifests could not be used as it was: %s. What it did not give was read from the '
    "registry. 'az acr prune cache clear -r %s' removes it, --no-cache does without it."
)


@dataclass(frozen=True)
class Session:
    """An open registry, with the identity that opened it, and the clocks of the command.

    `host` is the login server, `moment` the instant at which the command began by the clock of this machine. What asks
    the registry is a coroutine, and `run` does it; `calls` counts what that sends. `halt` drops requests that wait for
    their turn. What `answering` holds lasts until the state is checked in.
    """

    cmd: Command
    options: RegistryOptions
    registry: Registry
    host: str
    facts: RegistryFacts
    cache: Cache
    reporter: Reporter
    limit: TimeLimit
    moment: datetime
    loop: Loop
    calls: CallCount
    halt: Halt
    answering: ExitStack

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do what asks the registry. Ctrl-C, SIGTERM and SIGHUP end it with KeyboardInterrupt."""
        return self.loop.run(work)

    def ask(self, work: Callable[[], Result]) -> Result:
        """Do what asks somebody else than the registry, within the time limit. Raises PruneError."""
        return _in_time(self.limit, _LONGEST_ASK_SECONDS, work)

    @cached_property
    def door(self) -> Registry:
        """What changes go through, and what shows them at once: one endpoint for the whole run."""
        from ..registry.endpoints import alone

        return alone(self.registry)

    @property
    def asks_each_region(self) -> bool:
        """Whether each region is asked what it holds, so that nobody else has to tell of it."""
        endpoints, regions = self.facts.regional_endpoints, self.facts.regions or ()
        return len(self.registry.replicas) >= len(endpoints) >= max(2, len(regions))

    @property
    def target(self) -> str:
        """The words that name this registry in a command that somebody pastes."""
        return shlex.join(self.options.sign_in.target)

    @property
    def concurrency(self) -> int:
        return self.options.pace.concurrency

    @property
    def now(self) -> int:
        """The instant at which the command began, in ticks."""
        return int(self._true_moment.timestamp() * TICKS_PER_SECOND)

    @property
    def began(self) -> str:
        """The instant at which the command began, as documents show it."""
        return self._true_moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ')

    @property
    def _true_moment(self) -> datetime:
        """The time of the registry where the clock of this machine is ahead: a push under way must not look old."""
        return self.moment - timedelta(seconds=self.registry.clock_ahead)

    @cached_property
    def account(self) -> Account:
        """What the resource manager says when it is first asked: how much the registry uses, and in which regions."""
        from ..registry.credentials import registry_account

        sign_in = self.options.sign_in
        name, group = sign_in.registry_name, sign_in.resource_group_name
        return self.ask(lambda: registry_account(self.cmd, name, group, self.facts))


@contextmanager
def open_session(
    cmd: Command, options: RegistryOptions, restoring: bool = False, publishing: bool = False
) -> Iterator[Session]:
    """Sign in and open the registry; every error inside becomes one of azure-cli's.

    It can be pushed to when `restoring` or `publishing`, which also deletes.
    """
    collect_garbage_seldom()
    hide_secrets_in_the_log(options.sign_in.username, options.sign_in.password)
    from ..registry.credentials import registry_facts, sign_in
    from ..registry.halting import Halt
    from ..show.progress import progress
    from ..workers import Loop, stops_are_ctrl_c
    from .azure import storage_within

    asked = options.sign_in
    limit = TimeLimit(options.pace.time_limit, time.monotonic)
    with typed_errors(asked.registry_name, shlex.join(asked.target)), stops_are_ctrl_c():
        signed_in = _in_time(
            limit,
            _LONGEST_SIGN_IN_SECONDS,
            lambda: sign_in(
                cmd, asked.registry_name, asked.resource_group_name, asked.suffix, asked.username, asked.password
            ),
        )
        host = signed_in.host
        facts = _in_time(
            limit, _LONGEST_SIGN_IN_SECONDS, lambda: registry_facts(cmd, asked.registry_name, asked.resource_group_name)
        )
        with (
            ExitStack() as answering,
            storage_within(cmd, limit),
            checked_out(cmd, host, options.state, options.sign_in.username, limit.left),
            progress(cmd.cli_ctx) as reporter,
            _cache(cmd, host, options) as cache,
            Loop(_say_stopping) as loop,
        ):
            hosts, halt = hosts_of(facts, options, host), Halt()
            endpoints = _endpoints(
                cmd, signed_in, options, facts.sku, len(hosts), reporter, limit, halt, _actions(restoring, publishing)
            )
            registry = loop.run(endpoints.open(hosts))
            moment = datetime.now(timezone.utc)
            try:
                yield Session(
                    cmd,
                    options,
                    registry,
                    host,
                    facts,
                    cache,
                    reporter,
                    limit,
                    moment,
                    loop,
                    endpoints.calls,
                    halt,
                    answering,
                )
            finally:
                loop.end(registry.close())


def _actions(restoring: bool, publishing: bool) -> str:
    """The permissions that are asked for on each repository."""
    from ..registry.protocol.tokens import PRUNING, PUBLISHING, RESTORING

    return RESTORING if restoring else PUBLISHING if publishing else PRUNING


def _say_stopping() -> None:
    logger.warning('Stopping. Ctrl-C again ends it at once.')


def hosts_of(facts: RegistryFacts, options: RegistryOptions, login_server: str) -> tuple[str, ...]:
    """The hosts that are asked, the one first that changes go through: that of the region that was named, if one was.

    A command that decides what goes asks each region that has an endpoint. Where it is not known which have one, what
    the login server leads to is asked beside the region that was named. Raises PruneError.
    """
    several = facts.regions is None or len(facts.regions) > 1
    regional = facts.regional_endpoints if several and options.scan.all_regions else ()
    region = options.sign_in.region
    if region is None:
        return regional or (login_server,)
    named = _endpoint_of(facts, login_server, region)
    if options.scan.all_regions:
        return named, *(host for host in regional or (login_server,) if host != named)
    return (named,)


def _endpoint_of(facts: RegistryFacts, login_server: str, region: str) -> str:
    """The host of a region. Raises PruneError where the registry is known to have none."""
    from ..registry.protocol.hosts import endpoint_of, region_of

    known = {region_of(host): host for host in facts.regional_endpoints}
    if known and region not in known:
        names = ', '.join(facts.regional_endpoints)
        raise PruneError(
            f"The registry has no endpoint in the region '{region}'.", f'It has these: {names}.', Kind.NOT_FOUND
        )
    return known.get(region, endpoint_of(login_server, region))


def _endpoints(
    cmd: Command,
    signed_in: SignIn,
    options: RegistryOptions,
    sku: str | None,
    number: int,
    reporter: Reporter,
    limit: TimeLimit,
    halt: Halt,
    actions: str,
) -> Endpoints:
    """What opens the endpoints of a registry, which share the calls that are allowed a minute."""
    from ..registry.endpoints import Endpoints
    from ..registry.protocol.pacing import Pacer
    from ..registry.retries import PacingPolicy

    pace = options.pace
    max_rate = pace.max_rate / number if pace.max_rate else None
    return Endpoints(
        signed_in,
        actions,
        pace.concurrency,
        lambda: PacingPolicy(Pacer(sku, max_rate), reporter.throttled, limit=limit, halt=halt),
        lambda: _pipeline_options(cmd),
        region=options.sign_in.region,
    )


def _in_time(limit: TimeLimit, longest: float, work: Callable[[], Result]) -> Result:
    """Wait for what az's own code asks Azure: it has no limit for a whole answer. Raises PruneError."""
    from ..workers import TooLate, within

    try:
        return within(min(longest, limit.left), work)
    except TooLate as error:
        raise PruneError('Azure did not answer in time.', _LATE, Kind.OUT_OF_TIME) from error


@cache  # of several registries, the first one's objects are not to stay for ever
def collect_garbage_seldom() -> None:
    """Collect garbage less often: an inventory is many objects that stay, and the default costs a fifth of a plan."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


def _pipeline_options(cmd: Command) -> dict[str, Any]:
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
def _cache(cmd: Command, host: str, options: RegistryOptions) -> Iterator[Cache]:
    """The cache of the registry; whatever is wrong with it is a warning, never an error."""
    from ..inventory.cache import ManifestCache, NoCache
    from ..inventory.cache_file import cache_path

    path = cache_path(kept_folder(cmd), host)
    cache: Cache = NoCache() if options.scan.no_cache else ManifestCache(path, time.time_ns() // 1000)
    try:
        yield cache
    finally:
        cache.close()
        state = state_in_use(cmd)
        if state:
            state.cache_changed = cache.has_changed
        if cache.trouble:
            logger.warning(_CACHE_TROUBLE, cache.trouble, shlex.join(options.sign_in.target))
