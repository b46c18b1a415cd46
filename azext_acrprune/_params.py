"""Options: a sentence each, with validators. Options that several commands share are defined once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from argcomplete.completers import FilesCompleter
from azure.cli.core.commands.parameters import (
    get_enum_type,
    get_resource_name_completion_list,
    resource_group_name_type,
)

from ._validators import (
    validate_ago,
    validate_alias,
    validate_archive,
    validate_concurrency,
    validate_exclude,
    validate_filter,
    validate_images,
    validate_include,
    validate_keep,
    validate_keep_per,
    validate_limits,
    validate_match,
    validate_max_age,
    validate_max_rate,
    validate_optional_registry,
    validate_out,
    validate_pins_from,
    validate_plan_selection,
    validate_policy_diff,
    validate_price,
    validate_pulled_within,
    validate_ran_within,
    validate_registry,
    validate_restore,
    validate_restored_images,
    validate_tag_selection,
    validate_time_limit,
    validate_top,
    validate_validate,
)

if TYPE_CHECKING:
    from azure.cli.core import AzCommandsLoader
    from azure.cli.core.commands.parameters import AzArgumentContext

_CALLS = ('registry_name', 'resource_group_name', 'suffix', 'username', 'password', 'concurrency', 'max_rate')
_TARGET = (*_CALLS, 'impact', 'no_cache')
_REGIONS = ('single_region',)
_TIMED = ('time_limit', 'order')
_PINS = ('pins', 'pins_from', 'ran_within', 'strict_pins', 'alias')
_UNASKED = ('no_strict_pins',)
_PULLS = ('pulled_within', 'workspace')
_DELETING = ('yes', 'dry_run', 'archive', 'archive_content', 'validate')
_GUARDED = ('max_deletions', 'max_percent')
_UNTAGGED = ('repository', 'ago', 'age_by', 'keep', 'include')
_TAGS = (
    'filter',
    'match',
    'exclude',
    'untagged',
    'untagged_only',
    'include_locked',
    'keep_semver',
    'keep_per',
    'keep_untagged',
)

_SHARED = {
    'plan': (*_TARGET, *_REGIONS, *_TIMED, *_UNTAGGED, *_TAGS, *_PINS, *_PULLS, 'price'),
    'untagged': (*_TARGET, *_REGIONS, *_TIMED, *_UNTAGGED, *_PINS, *_UNASKED, *_PULLS, *_DELETING, *_GUARDED, 'price'),
    'tags': (
        *_TARGET,
        *_REGIONS,
        *_TIMED,
        *_UNTAGGED,
        *_TAGS,
        *_PINS,
        *_UNASKED,
        *_PULLS,
        *_DELETING,
        *_GUARDED,
        'price',
    ),
    'image': (*_TARGET, *_REGIONS, 'include_locked', *_PINS, *_UNASKED, *_DELETING, 'price'),
    'repository': (*_TARGET, *_PINS, *_UNASKED, *_DELETING, 'price'),
    'apply': (*_TARGET, *_TIMED, *_PINS, *_UNASKED, *_DELETING, *_GUARDED),
    'explain': (*_TARGET, *_REGIONS, *_UNTAGGED, *_TAGS, *_PINS, *_PULLS),
    'pins list': (*_CALLS, *_PINS),
    'pins remember': (*_CALLS, 'pins_from', 'alias'),
    'pins lock': (*_CALLS, *_PINS, 'yes', 'dry_run'),
    'check': (*_CALLS, 'no_cache', *_TIMED, 'repository'),
    'report': (*_CALLS, 'no_cache', 'price'),
    'usage': (*_CALLS, 'no_cache', 'price', 'workspace'),
    'restore': (*_CALLS, 'no_cache', 'dry_run', 'archive'),
    'policy diff': (*_CALLS, 'no_cache'),
}

_SELECTION = 'Selection'
_OUTPUT = 'Output'
_GROUPS = {
    'Sign-in': ('suffix', 'username', 'password'),
    _SELECTION: (*_UNTAGGED, *_TAGS),
    'Pins': (*_PINS, *_UNASKED),
    'Pull Log': _PULLS,
    'Limits': _GUARDED,
    'Archive': ('archive', 'archive_content'),
    'Performance': ('concurrency', 'max_rate', 'impact', 'no_cache', *_TIMED),
    _OUTPUT: ('price',),
}
"""The headings in `-h`, and what stands under each. All else stands under the first heading, `Arguments`."""

_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names}


def load_arguments(loader: AzCommandsLoader, _: str) -> None:
    for command, names in _SHARED.items():
        with loader.argument_context(f'acr prune {command}') as context:
            for name in names:
                option = '--' + name.replace('_', '-')
                context.extra(name, options_list=[option], arg_group=_GROUP_OF.get(name))
    with loader.argument_context('acr prune') as context:
        _registry(context)
        _how(context)
        _selection(context)
        _pins(context)
        _pulls(context)
        _consent(context)
    _own(loader)


def _registry(context: AzArgumentContext) -> None:
    context.argument(
        'registry_name',
        options_list=['--registry', '-r'],
        configured_default='acr',
        validator=validate_registry,
        required=True,
        completer=get_resource_name_completion_list('Microsoft.ContainerRegistry/registries'),
        help='The container registry: its name or its full login server. You can configure the default with '
        '`az configure --defaults acr=myregistry`.',
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
        help='`exact` reads every manifest of the registry and says to the byte what is freed. `bound` reads '
        'only what safety needs and gives an upper bound.',
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
    context.argument(
        'price',
        validator=validate_price,
        help='What the registry costs for each GiB and day beyond the storage that its SKU includes, such as '
        '`0.003 USD`: a number, and any text as the currency. A month has 30 days.',
    )
    context.argument(
        'single_region',
        action='store_true',
        help='Leave other regions of a replicated registry out of account. A push, a tag or a lock of another region '
        'may not be known yet in the one that answers: what it needs may be deleted.',
    )
    context.argument(
        'no_cache', action='store_true', help='Read every manifest from the registry, and keep none for the next run.'
    )


def _selection(context: AzArgumentContext) -> None:
    context.argument(
        'repository',
        nargs='+',
        help='Only these repositories: names or patterns, where `*` stays inside one namespace and `**` crosses '
        'namespaces, as in `team-a/**`. Layers that other repositories use are still counted as used.',
    )
    context.argument(
        'ago',
        validator=validate_ago,
        help='How long something must have been left alone before it may go: `30d`, `2d3h6m`, `1h15m` or `10m`; '
        '`1d` when left out. 0 puts pushes under way at risk: their images are untagged until the index arrives.',
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
        'read. `orphans` are signatures and other attachments by tag whose image is nowhere in the registry. '
        '`partial` are indexes that lack children: with this, the --keep options '
        'neither count nor spare them.',
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
        'its workspace id, or its resource id.',
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
        'max_deletions',
        type=int,
        validator=validate_limits,
        help='Delete nothing at all when more manifests and tags than this would go.',
    )
    context.argument(
        'max_percent',
        type=float,
        validator=validate_limits,
        help='Delete nothing at all when more than this percentage of the tagged manifests of one '
        'repository would go. The default is 50 in runs that ask no question (--yes).',
    )
    context.argument(
        'policy_file',
        options_list=['--policy'],
        completer=FilesCompleter(),
        help='A policy file, YAML or JSON, in place of the options that select.',
    )


def _own(loader: AzCommandsLoader) -> None:
    with loader.argument_context('acr prune pins lock') as context:
        context.argument('yes', options_list=['--yes', '-y'], action='store_true', help='Do not ask before locking.')
        context.argument('dry_run', action='store_true', help='Change nothing, and answer with what would be done.')
    with loader.argument_context('acr prune restore') as context:
        context.argument('archive', help='The archive to restore from: a directory, or `azure-blob:ACCOUNT/CONTAINER`.')
        context.argument(
            'images',
            options_list=['--image'],
            action='append',
            validator=validate_restored_images,
            help='Only this image, with what belongs to it: `repository:tag` or `repository@digest`. Can '
            'be given several times.',
        )
        context.argument(
            'everything',
            options_list=['--all'],
            action='store_true',
            help='Restore all that the archive holds of this registry.',
        )
        context.argument(
            'soft_deleted',
            action='store_true',
            validator=validate_restore,
            help='Restore what a run deleted, from a registry that has soft delete on.',
        )
        context.argument('journal', help='Which run: see `az acr prune history list`. The last one when left out.')
        context.argument(
            'overwrite',
            action='store_true',
            help='Also take tags back that are on other manifests now. Without it these stay.',
        )
        context.argument('dry_run', action='store_true', help='Change nothing, and answer with what would be restored.')
    with loader.argument_context('acr prune history') as context:
        context.argument(
            'registry_name', required=False, validator=validate_optional_registry, help='Only runs on this registry.'
        )
    with loader.argument_context('acr prune history show') as context:
        context.argument('run', options_list=['--run'], help='The run: see `az acr prune history list`.')
    with loader.argument_context('acr prune plan') as context:
        context.argument(
            'show_kept', action='store_true', arg_group=_OUTPUT, help='Also show what is kept, each with its reason.'
        )
        context.argument(
            'group_by',
            arg_group=_OUTPUT,
            arg_type=get_enum_type(['repository', 'reason', 'rule']),
            help='Also show sums of the plan by repository, by reason, or by rule; the table then has these '
            'sums in place of the manifests.',
        )
        context.argument(
            'out',
            arg_group=_OUTPUT,
            validator=validate_out,
            completer=FilesCompleter(),
            help='Also write the plan to this file, as JSON.',
        )
        context.argument('policy_file', arg_group=_SELECTION, validator=validate_plan_selection)
        context.argument(
            'inventory_out',
            arg_group=_OUTPUT,
            completer=FilesCompleter(),
            help='Also write all that was read of the registry to this file, for `az acr prune policy diff`.',
        )
        context.argument(
            'strict_policy',
            action='store_true',
            arg_group=_SELECTION,
            help='With --policy: what protects or keeps, and matches nothing in the registry, is an error.',
        )
    with loader.argument_context('acr prune check') as context:
        context.argument(
            'repository',
            nargs='+',
            help='Only these repositories: names or patterns, as in `team-a/**`. Nothing else is read.',
        )
    with loader.argument_context('acr prune report') as context:
        context.argument(
            'out', validator=validate_out, completer=FilesCompleter(), help='Write the report to this HTML file.'
        )
        context.argument(
            'plan_file',
            options_list=['--plan'],
            completer=FilesCompleter(),
            help='Show what this plan does: a file that `az acr prune plan --out` wrote, of any age.',
        )
    with loader.argument_context('acr prune usage') as context:
        context.argument(
            'by',
            arg_type=get_enum_type(['repository', 'image', 'layer', 'tag-pattern']),
            default='repository',
            help='What each row stands for.',
        )
        context.argument(
            'top',
            type=int,
            validator=validate_top,
            help='Show this many rows, those with the most bytes; the others are one sum. When left out: all '
            'repositories, and 100 rows of anything else.',
        )
        context.argument(
            'workspace',
            help='Also show when something was last pulled, by the log in this Log Analytics '
            'workspace: its name, its workspace id, or its resource id.',
        )
    with loader.argument_context('acr prune explain') as context:
        context.argument(
            'images',
            options_list=['--image'],
            nargs=1,
            validator=validate_images,
            help='The image: `repository:tag` or `repository@digest`.',
        )
        context.argument('policy_file', arg_group=_SELECTION, validator=validate_plan_selection)
    with loader.argument_context('acr prune tags') as context:
        context.extra(
            'untag_only',
            options_list=['--untag-only'],
            action='store_true',
            validator=validate_tag_selection,
            help='Only remove tags, which is what happens without --untagged too: this says so, and no '
            'other option can change it.',
        )
    with loader.argument_context('acr prune image') as context:
        context.argument(
            'images',
            options_list=['--image'],
            action='append',
            validator=validate_images,
            help='The image: `repository:tag` or `repository@digest`. Can be given several times.',
        )
        context.argument('untag', action='store_true', help='Only remove the tag, which frees nothing.')
        context.argument(
            'only_if',
            options_list=['--only-if'],
            arg_type=get_enum_type(['ghost', 'orphan', 'partial']),
            help='Delete nothing unless the image still is what `az acr prune check` found: `ghost`, listed and not '
            'there; `orphan`, attached to nothing that exists in the registry; `partial`, an index of which no '
            'manifest is left. Nothing goes that is younger than a day, or that has a tag of people, annotations, or '
            'something attached to it.',
        )
    with loader.argument_context('acr prune repository') as context:
        context.argument('name', options_list=['--repository'], nargs=None, help='The repository to delete.')
    with loader.argument_context('acr prune apply') as context:
        context.argument(
            'plan_file',
            options_list=['--plan'],
            completer=FilesCompleter(),
            help='The plan: a file that `az acr prune plan --out` wrote.',
        )
        context.argument('max_age', validator=validate_max_age, help='Refuse a plan that is older than this.')
    with loader.argument_context('acr prune policy') as context:
        context.argument('policy_file', options_list=['--file'], completer=FilesCompleter(), help='The policy file.')
        context.argument(
            'name',
            arg_type=get_enum_type(['ci', 'ml', 'production']),
            options_list=['--name', '-n'],
            help='Which example: a CI registry, ML images, or a production registry.',
        )
    with loader.argument_context('acr prune policy diff') as context:
        context.argument(
            'registry_name',
            required=False,
            validator=validate_policy_diff,
            help='The container registry that both policies are tried on: its name or its full login server.',
        )
        context.argument(
            'old_policy', options_list=['--old'], completer=FilesCompleter(), help='The policy file as it was.'
        )
        context.argument(
            'new_policy', options_list=['--new'], completer=FilesCompleter(), help='The policy file as it shall be.'
        )
        context.argument(
            'inventory_file',
            options_list=['--inventory'],
            completer=FilesCompleter(),
            help='In place of a registry: what `az acr prune plan --inventory-out` wrote.',
        )
        context.argument('markdown', completer=FilesCompleter(), help='Also write it to this file, as Markdown.')
        context.argument(
            'fail_on',
            arg_type=get_enum_type(['more']),
            help='`more`: exit with 1 when the new policy takes anything that the old one does not.',
        )
    with loader.argument_context('acr prune policy test') as context:
        context.argument(
            'tests_file',
            options_list=['--file'],
            completer=FilesCompleter(),
            help='The file of tests: images in a few words, and what is expected of them.',
        )
        context.argument(
            'policy_file',
            options_list=['--policy'],
            completer=FilesCompleter(),
            help='The policy file. Without it, the one that the tests name.',
        )
