"""The options of a command, as frozen records by topic.

az calls a command with keyword arguments: None where an option was not given, and subclasses of `str` and `int` where
az itself put in a default. A command takes those that it shares with others as `**kwargs`, the only name that az does
not take for an option. It makes its records from them once, with `of` or `read`, and passes the records on. Nothing
else looks at the arguments.

To add an option:

1. Declare it in `_shared_params.py` with its help, and add its name in `_params.py` to each command in `_SHARED` that
   has it. An option of one command alone goes into `_own_params.py`; it can be a parameter of the command's function,
   which takes no more steps.
2. Add a field of the same name to the record of its topic below. The default of the field is the value where the
   option is not given, or where a command does not have it. Lists are tuples here.
3. Pass the record to the function that needs the value.

A new topic is a new record, with a field in the records below that combine topics. Options that select what may go
are the record `Flags` in `policy/flags.py`, which also writes them into the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ..decide.asked import AskedImage
    from ..documents.cost import Price
    from ..policy.flags import Flags

    Record = TypeVar('Record', bound=DataclassInstance)
else:
    Record = TypeVar('Record')

Arguments = Mapping[str, object]


@dataclass(frozen=True)
class SignInOptions:
    """Which registry, and who asks it. `suffix` is the tenant's part of the login server.

    `region` is the one whose endpoint was named in place of the login server.
    """

    registry_name: str
    resource_group_name: str | None = None
    suffix: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    region: str | None = None

    @property
    def target(self) -> list[str]:
        """How a command names this registry, after its own option for that."""
        return [self.registry_name, *(['--suffix', self.suffix] if self.suffix else [])]


@dataclass(frozen=True)
class FleetOptions:
    """Which registries Azure is asked for: those of a subscription that have each `tag`, or those of a query."""

    all_registries: bool = False
    tag: tuple[str, ...] = ()
    query_graph: str | None = None
    resource_group_name: str | None = None

    @property
    def finds(self) -> bool:
        """Whether Azure is asked at all."""
        return self.all_registries or self.query_graph is not None


@dataclass(frozen=True)
class PaceOptions:
    """How fast, and for how long: requests at a time, calls a minute at most, and seconds for the whole command."""

    concurrency: int = 32
    max_rate: int | None = None
    time_limit: int | None = None


@dataclass(frozen=True)
class ScanOptions:
    """What is read: `impact` is `exact` or `bound`, `order` is `oldest`, `largest` or `name`.

    With `single_region` other replicas of the registry are left out of account; with `all_regions` each of them is
    asked that can be, as a command wants it that decides what goes.
    """

    impact: str = 'exact'
    order: str = 'name'
    no_cache: bool = False
    single_region: bool = False
    all_regions: bool = False


@dataclass(frozen=True)
class StateOptions:
    """Where that is kept which later commands have to know: a directory or `azure-blob:ACCOUNT/CONTAINER[/PREFIX]`.

    A command that `changes` something has its lock, and waits so many seconds for it, unless `no_lock` says otherwise.
    `policy_file` may name a state, too, and `planned` is the one that a plan names. With `no_cache` no cache of
    manifests is fetched.
    """

    state: str | None = None
    lock_timeout: int = 90
    no_lock: bool = False
    changes: bool = False
    policy_file: str | None = None
    planned: str | None = None
    no_cache: bool = False

    @classmethod
    def of(cls, arguments: Arguments) -> StateOptions:
        return replace(read(cls, arguments), changes='dry_run' in arguments and not arguments['dry_run'])


@dataclass(frozen=True)
class RegistryOptions:
    """All that it takes to open a registry and to read it."""

    sign_in: SignInOptions
    pace: PaceOptions = PaceOptions()
    scan: ScanOptions = ScanOptions()
    state: StateOptions = StateOptions()

    @classmethod
    def of(cls, arguments: Arguments) -> RegistryOptions:
        decides = 'single_region' in arguments and not arguments['single_region']
        scan = replace(read(ScanOptions, arguments), all_regions=decides)
        return cls(read(SignInOptions, arguments), read(PaceOptions, arguments), scan, StateOptions.of(arguments))


@dataclass(frozen=True)
class PinOptions:
    """Where pins are: `pins` are files and folders, `pins_from` live systems, `alias` other names of the registry.

    `ran_within` is a duration such as `90d`: what live systems were seen to use in that time. `yes` and `dry_run` are
    the consent of a command that deletes; `yes` is None for a command that does not. Nobody reads the warnings of a
    run that nobody is asked about, so there problems are errors, unless `no_strict_pins` says otherwise.
    """

    pins: tuple[str, ...] = ()
    pins_from: tuple[str, ...] = ()
    strict_pins: bool = False
    no_strict_pins: bool = False
    ran_within: str | None = None
    yes: bool | None = None
    dry_run: bool = False
    alias: tuple[str, ...] = ()


@dataclass(frozen=True)
class PullOptions:
    """Keep what was pulled `pulled_within`, a duration such as `90d`, as the Log Analytics `workspace` tells."""

    pulled_within: str | None = None
    workspace: str | None = None


@dataclass(frozen=True)
class PriceOptions:
    """The price of storage; None when it is not known."""

    price: Price | None = None


@dataclass(frozen=True)
class RecordOptions:
    """What tells what a run did: Markdown is appended to `summary_file`, `metrics_file` is Prometheus text.

    `report_tag` is `repository:tag` in the registry, where the same Markdown is pushed to.
    """

    summary_file: str | None = None
    metrics_file: str | None = None
    report_tag: str | None = None


@dataclass(frozen=True)
class ConsentOptions:
    """Whether somebody is asked, whether anything is changed, and whether the registry is checked afterwards."""

    yes: bool = False
    dry_run: bool = False
    validate: bool = False


@dataclass(frozen=True)
class ArchiveOptions:
    """Where to archive what goes: a directory or `azure-blob:ACCOUNT/CONTAINER`; `all` of it or only `manifests`.

    `new_archive` says that a directory may be new.
    """

    archive: str | None = None
    archive_content: str = 'all'
    new_archive: bool = False


@dataclass(frozen=True)
class LimitOptions:
    """How much may go in one run: manifests and tags, and a percentage of each repository. None is not given."""

    max_deletions: int | None = None
    max_percent: float | None = None


@dataclass(frozen=True)
class RestoreOptions:
    """What is restored, and from where.

    From `archive`, or with `soft_deleted` from what the registry keeps of what it deleted: `everything`, or what meets
    all conditions that are given: `images`, patterns of repositories, `since` an age or a date, or the run `journal`.
    `overwrite` also moves tags back that are on other manifests now. `from_registry` names the registry that was
    archived, where that is another one.
    """

    archive: str | None = None
    images: tuple[AskedImage, ...] = ()
    repository: tuple[str, ...] = ()
    since: str | None = None
    everything: bool = False
    soft_deleted: bool = False
    journal: str | None = None
    from_registry: str | None = None
    overwrite: bool = False
    yes: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class HoldOptions:
    """Whether to lock what comes back, and until when: an age from now on, or a date; None until it is released."""

    lock: bool = False
    lock_until: str | None = None


@dataclass(frozen=True)
class UndoOptions:
    """Which run is undone, the last one that deleted something where it is None, and which `images` of it.

    With an `archive`, a run whose journal is there.
    """

    run: str | None = None
    archive: str | None = None
    images: tuple[AskedImage, ...] = ()
    overwrite: bool = False
    yes: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class GivenOptions:
    """All that was given, by name, for a command that hands it on to another az."""

    values: Arguments

    @classmethod
    def of(cls, arguments: Arguments) -> GivenOptions:
        return cls({name: plain(value) for name, value in arguments.items() if value is not None})


@dataclass(frozen=True)
class ScheduleOptions:
    """What a schedule is, beside what its runs are told.

    `identity` is a resource id or `[system]`, `image` the one that its steps run in, and `run_limit` are the seconds
    that a run has for planning, and then for deleting. With `report_artifact` each run pushes its report. None where
    nothing was said: a new schedule then only previews, and one that is updated stays as it is.
    """

    name: str = ''
    cron: str | None = None
    identity: str | None = None
    agent_pool: str | None = None
    image: str | None = None
    enforce: bool | None = None
    enabled: bool | None = None
    report_artifact: bool | None = None
    policy_file: str | None = None
    state: str | None = None
    run_limit: int | None = None
    no_role_assignment: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class SelectOptions:
    """What rules may take, by a policy file or by flags, and what is in use."""

    flags: Flags
    policy_file: str | None = None
    pins: PinOptions = PinOptions()
    pulls: PullOptions = PullOptions()

    @classmethod
    def of(cls, arguments: Arguments, policy_file: str | None = None) -> SelectOptions:
        from ..policy.flags import Flags

        return cls(read(Flags, arguments), policy_file, read(PinOptions, arguments), read(PullOptions, arguments))


@dataclass(frozen=True)
class DeleteOptions:
    """All that the life of a deletion depends on, whatever chose what goes.

    `limits` is None for a command without limits: it deletes what it is told by name.
    """

    registry: RegistryOptions
    pins: PinOptions = PinOptions()
    consent: ConsentOptions = ConsentOptions()
    archive: ArchiveOptions = ArchiveOptions()
    limits: LimitOptions | None = None
    price: Price | None = None
    record: RecordOptions = RecordOptions()

    @classmethod
    def of(cls, arguments: Arguments) -> DeleteOptions:
        has_limits = 'max_deletions' in arguments
        return cls(
            RegistryOptions.of(arguments),
            read(PinOptions, arguments),
            read(ConsentOptions, arguments),
            read(ArchiveOptions, arguments),
            read(LimitOptions, arguments) if has_limits else None,
            read(PriceOptions, arguments).price,
            read(RecordOptions, arguments),
        )


def read(record: type[Record], arguments: Arguments) -> Record:
    """A record of the arguments that it has fields for. One that is missing or None has the default of its field."""
    given: dict[str, Any] = {
        each.name: plain(arguments[each.name]) for each in fields(record) if arguments.get(each.name) is not None
    }
    return record(**given)


def plain(value: object) -> object:
    """A value as the rest of the program knows it: `str` and `int` themselves, and tuples for lists."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return tuple(plain(each) for each in value)
    return value
