"""Options that several commands share: a sentence each, with validators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from argcomplete.completers import FilesCompleter
from azure.cli.core.commands.parameters import (
    get_enum_type,
    get_resource_name_completion_list,
    resource_group_name_type,
)

from ._place_validators import validate_archive, validate_state
from ._registry_validators import validate_registry
from ._validators import (
    validate_ago,
    validate_alias,
    validate_before,
    validate_concurrency,
    validate_exclude,
    validate_filter,
    validate_include,
    validate_keep,
    validate_keep_per,
    validate_limits,
    validate_lock_timeout,
    validate_match,
    validate_max_rate,
    validate_pins_from,
    validate_price,
    validate_pulled_within,
    validate_ran_within,
    validate_repository,
    validate_rows,
    validate_time_limit,
    validate_validate,
)

if TYPE_CHECKING:
    from azure.cli.core.commands.parameters import AzArgumentContext


def add_shared(context: AzArgumentContext) -> None:
    _registry(context)
    _fleet(context)
    _how(context)
    _state(context)
    _output(context)
    _selection(context)
    _tags(context)
    _kept(context)
    _taken(context)
    _pins(context)
    _strictness(context)
    _pulls(context)
    _consent(context)
    _guards(context)


def _registry(context: AzArgumentContext) -> None:
    context.argument(
        'registry_name',
        options_list=['--registry', '-r'],
        configured_default='acr',
        validator=validate_registry,
        required=True,
        completer=get_resource_name_completion_list('Microsoft.ContainerRegistry/registries'),
        help='The container registry: its name, its full login server, or the endpoint of one of its regions, which '
        'then all changes go through. You can configure the default with `az configure --defaults acr=myregistry`.',
    )
    context.argument(
        'resource_group_name',
        resource_group_name_type,
        required=False,
        help='The resource group of the registry, looked up when left out.',
    )
    context.argument('suffix', help='The tenant suffix of the login server, as in `az acr login`.')
    context.argument(
        'username', options_list=['--username', '-u'], help='The name of a token of the registry, or of its admin user.'
    )
    context.argument('password', options_list=['--password', '-p'], help='The password that goes with --username.')


def _fleet(context: AzArgumentContext) -> None:
    context.argument(
        'all_registries',
        action='store_true',
        help='In place of --registry: every registry of the subscription that may be listed, or of --resource-group.',
    )
    context.argument(
        'tag',
        nargs='+',
        help='With --all-registries: only those that have this tag of Azure, `key=value` or `key`; of several, all.',
    )
    context.argument(
        'query_graph',
        help='In place of --registry: the registries that this query of Azure Resource Graph finds, in all '
        'subscriptions or that of --subscription. Its rows need the column `id`.',
    )


def _how(context: AzArgumentContext) -> None:
    context.argument(
        'concurrency',
        type=int,
        default=32,
        validator=validate_concurrency,
        help='How many requests run at a time, from 1 to 32.',
    )
    context.argument(
        'impact',
        arg_type=get_enum_type(['exact', 'bound']),
        default='exact',
        help='`exact` reads every manifest of the registry and says to the byte what is freed, where Azure says '
        'how much is stored. `bound` reads only what safety needs and gives an upper bound.',
    )
    context.argument(
        'max_rate',
        validator=validate_max_rate,
        help='Send at most this many calls, such as `600/min` or `10/s`, where others use the registry too. '
        'Without it calls slow down only when the registry refuses them.',
    )
    context.argument(
        'time_limit',
        validator=validate_time_limit,
        help='Stop after this time, such as `45m`, having done what could be done: repositories that were not read in '
        'time are left alone, and the next run goes on from there.',
    )
    context.argument(
        'order',
        arg_type=get_enum_type(['oldest', 'largest', 'name']),
        default='oldest',
        help='Which repositories come first: `oldest`, those that were not read for longest; `largest`, those with '
        'most manifests; or by `name`. The first two go by what earlier runs kept on this machine.',
    )


def _state(context: AzArgumentContext) -> None:
    context.argument(
        'state',
        validator=validate_state,
        help='Where all machines find what earlier runs found and did: a directory, or '
        '`azure-blob:ACCOUNT/CONTAINER[/PREFIX]`. Without it that is on this machine, in the configuration folder of '
        'az. Also by `state` in a policy, or by `az config set acrprune.state=...`.',
    )
    context.argument(
        'lock_timeout',
        validator=validate_lock_timeout,
        help='With --state, how long to wait for another run on the same registry, such as `30m`; 90 seconds by '
        'default.',
    )
    context.argument(
        'no_lock',
        action='store_true',
        help='With --state, wait for no other run on the same registry, and keep none away.',
    )


def _output(context: AzArgumentContext) -> None:
    context.argument(
        'price',
        validator=validate_price,
        help='What the registry costs for each GiB and day beyond the storage that its SKU includes, such as '
        '`0.003 USD`: a number, and any text as the currency, with or without `/GiB/day`. A month has 30 days.',
    )
    context.argument(
        'summary_file',
        completer=FilesCompleter(),
        help='Append what the run found and did to this file, as Markdown: such as `$GITHUB_STEP_SUMMARY`.',
    )
    context.argument(
        'metrics_file',
        completer=FilesCompleter(),
        help='Write the numbers of the run to this file as Prometheus text, in place of what it holds: such as a '
        "`.prom` file in the folder of node_exporter's textfile collector.",
    )
    context.argument(
        'single_region',
        action='store_true',
        help='Take the answers of one region of a replicated registry for the whole. A push, tag or lock in another '
        'region may not have arrived there yet, and what it needs may be deleted.',
    )
    context.argument(
        'top',
        type=int,
        validator=validate_rows,
        help='With `-o table`: show this many rows, the largest or newest first, 0 for all; 50 when left out. A line '
        'on standard error says how many there are besides. Other formats have all of it.',
    )
    context.argument(
        'no_cache', action='store_true', help='Read every manifest from the registry, and keep none for the next run.'
    )


def _selection(context: AzArgumentContext) -> None:
    context.argument(
        'repository',
        nargs='+',
        validator=validate_repository,
        help='Only these repositories: names or patterns, where `*` stays inside one namespace and `**` crosses '
        'namespaces, as in `team-a/**`. Layers that other repositories use are still counted as used.',
    )
    context.argument(
        'ago',
        validator=validate_ago,
        help='How long something must have been left alone before it may go: `30d`, `2w`, `2d3h6m` or `10m`, or '
        'since which date, as in `2026-08-01`; `1d` when left out. 0 puts pushes under way at risk: their images are '
        'untagged until the index arrives.',
    )
    context.argument(
        'before',
        validator=validate_before,
        help='In place of --ago: what was left alone since before this date may go, such as `2026-08-01`, in UTC.',
    )
    context.argument(
        'age_by',
        arg_type=get_enum_type(['updated', 'created']),
        default='updated',
        help='Which time counts as the age: the last update or the creation.',
    )
    context.argument(
        'keep',
        type=int,
        default=0,
        validator=validate_keep,
        help='Keep this many of the newest in each repository: of the tags that match and are old enough, or of the '
        'untagged images where no tags are selected.',
    )


def _tags(context: AzArgumentContext) -> None:
    context.argument(
        'filter',
        options_list=['--filter', '-f'],
        action='append',
        validator=validate_filter,
        help='Select tags by `REPOSITORY_REGEX:TAG_REGEX`, as `acr purge` does: the first has to match the whole '
        'name, the second any part of the tag. Can be given several times.',
    )
    context.argument(
        'match',
        action='append',
        validator=validate_match,
        help='Select tags by a glob on `repository:tag`, as in `team-a/**:pr-*`. Can be given several times.',
    )
    context.argument(
        'exclude',
        action='append',
        validator=validate_exclude,
        help='Never take tags that match this glob on `repository:tag`; where the tag is `*`, nothing of '
        'the repository. Can be given several times.',
    )


def _kept(context: AzArgumentContext) -> None:
    context.argument(
        'keep_semver',
        type=int,
        default=0,
        validator=validate_keep,
        help='Keep this many of the newest releases by semantic version in each repository, and as many pre-releases. '
        'What is no version stays.',
    )
    context.argument(
        'keep_per',
        action='append',
        validator=validate_keep_per,
        help='Keep the newest N tags in each group, as `N:REGEX` with a named group: `3:^(?P<branch>.+)-[0-9]+$` '
        'keeps three of each branch. What is in no group stays. Can be given several times.',
    )
    context.argument(
        'keep_untagged',
        type=int,
        validator=validate_keep,
        help='With --untagged: keep this many of the newest images that have no tag left. Without it, that is the '
        'number of --keep, as with `acr purge` since 0.18.',
    )


def _taken(context: AzArgumentContext) -> None:
    context.argument(
        'untagged',
        action='store_true',
        help='Also delete the images whose last tag goes, and the untagged manifests of the selected '
        'repositories. Without it only tags are removed.',
    )
    context.argument(
        'untagged_only',
        action='store_true',
        help='Take no tags, only untagged manifests; --filter and --match then select repositories.',
    )
    context.argument(
        'include_locked',
        action='store_true',
        help='Also take what is locked by itself or by a tag: it is unlocked to go, and locked again when '
        'it could not be deleted. Locked repositories stay.',
    )
    context.argument(
        'include',
        arg_type=get_enum_type(['ghosts', 'orphans', 'partial']),
        nargs='+',
        validator=validate_include,
        help='Also take these, if they are old enough and nothing else keeps them. `ghosts` are listed but cannot be '
        'read. `orphans` are attachments by tag, such as signatures, whose image is nowhere in the registry. `partial` '
        'are indexes that lack children: with this, the --keep options neither count nor spare them.',
    )


def _pins(context: AzArgumentContext) -> None:
    context.argument(
        'pins',
        nargs='+',
        completer=FilesCompleter(),
        help='Files and folders that name images in use, such as Kubernetes manifests: what they name by digest or by '
        'tag stays. `-` is standard input.',
    )
    context.argument(
        'pins_from',
        nargs='+',
        validator=validate_pins_from,
        help='Running systems that use images, asked now: `aks:NAME[/RESOURCE_GROUP]`, `kubectl[:CONTEXT]`, '
        '`containerapps[:ENVIRONMENT]`, `webapps`, `functionapps`, `acr-tasks`, or `subscription` for all of '
        'these but kubectl, and for container instances. One that cannot be asked is an error.',
    )


def _strictness(context: AzArgumentContext) -> None:
    context.argument(
        'strict_pins',
        action='store_true',
        help='Fail when some part of the pins cannot be read or followed, or points to nothing. Without this option '
        'that is a warning, and with --yes it is an error in any case.',
    )
    context.argument(
        'no_strict_pins',
        action='store_true',
        help='Only warn of pins that cannot be read or followed, or that point to nothing, even with --yes.',
    )
    context.argument(
        'ran_within',
        validator=validate_ran_within,
        help='Keep what --pins-from saw running within this time, such as `90d`, on this machine. '
        '`az acr prune pins remember` looks without doing anything else.',
    )
    context.argument(
        'alias',
        nargs='+',
        validator=validate_alias,
        help='Custom domains of the registry, where the pins use them. Its own names are known.',
    )


def _pulls(context: AzArgumentContext) -> None:
    context.argument(
        'pulled_within',
        validator=validate_pulled_within,
        help='Keep what was pulled within this time, such as `90d`, by the log in the Log Analytics workspace of the '
        'registry. Fails unless the log covers that whole time.',
    )
    context.argument(
        'workspace',
        help='The Log Analytics workspace that the registry sends its ContainerRegistryRepositoryEvents to: its name, '
        'its workspace id, or its resource id. What was changed within a day in any region of a registry that has '
        'several counts as new.',
    )


def _consent(context: AzArgumentContext) -> None:
    context.argument('yes', options_list=['--yes', '-y'], action='store_true', help='Do not ask before deleting.')
    context.argument('dry_run', action='store_true', help='Delete nothing and answer with the plan.')
    context.argument(
        'validate',
        action='store_true',
        validator=validate_validate,
        help='Afterwards look at the repositories that it was to delete from, as `az acr prune check` does. The exit '
        'code is 1 when something is broken that was not before.',
    )
    context.argument(
        'archive',
        completer=FilesCompleter(),
        validator=validate_archive,
        help='Before anything goes, write it to this archive, an OCI image layout: a directory, or '
        '`azure-blob:ACCOUNT/CONTAINER`. What cannot be archived stays.',
    )
    context.argument(
        'archive_content',
        arg_type=get_enum_type(['all', 'manifests']),
        default='all',
        help='What goes into the archive: `all`, or only `manifests`, which can be restored for as long as their '
        'layers are still in the registry.',
    )
    context.argument(
        'new_archive',
        action='store_true',
        help='The directory of --archive may be new or empty. Without this it is asked, or is an error where nobody '
        'can be asked: a volume that is not mounted is an empty directory.',
    )


def _guards(context: AzArgumentContext) -> None:
    context.argument(
        'max_deletions',
        type=int,
        validator=validate_limits,
        help='Delete nothing at all when more manifests and tags than this would go. A tag that goes with its manifest '
        'is not counted.',
    )
    context.argument(
        'max_percent',
        type=float,
        validator=validate_limits,
        help='Delete nothing at all when more than this percentage of the tagged manifests of one repository would '
        'go or lose their last tag. The default is 50 in runs that ask no question (--yes).',
    )
    context.argument(
        'policy_file',
        options_list=['--policy'],
        completer=FilesCompleter(),
        help='A policy file, YAML or JSON, in place of the options that select.',
    )
