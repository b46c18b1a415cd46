"""Which options each command has, and the headings that they stand under in `-h`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._own_params import OUTPUT, OWN, SELECTION
from ._schedule_params import SCHEDULES
from ._shared_params import add_shared

if TYPE_CHECKING:
    from azure.cli.core import AzCommandsLoader

_SIGN_IN = ('registry_name', 'resource_group_name', 'suffix', 'username', 'password')
_FLEET = ('all_registries', 'tag', 'query_graph')
_CALLS = (*_SIGN_IN, 'concurrency', 'max_rate', 'state')
_LOCKING = ('lock_timeout', 'no_lock')
_TARGET = (*_CALLS, 'impact', 'no_cache')
_REGIONS = ('single_region',)
_TIMED = ('time_limit', 'order')
_PINS = ('pins', 'pins_from', 'ran_within', 'strict_pins', 'alias')
_UNASKED = ('no_strict_pins',)
_PULLS = ('pulled_within', 'workspace')
_TABLE = ('top',)
_RECORDS = ('summary_file', 'metrics_file')
_DELETING = (*_LOCKING, 'yes', 'dry_run', 'archive', 'archive_content', 'new_archive', 'validate', *_RECORDS, *_TABLE)
_GUARDED = ('max_deletions', 'max_percent')
_UNTAGGED = ('repository', 'ago', 'before', 'age_by', 'keep', 'include')
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
    'plan': (
        *_FLEET,
        *_TARGET,
        *_REGIONS,
        *_TIMED,
        *_UNTAGGED,
        *_TAGS,
        *_PINS,
        *_PULLS,
        *_GUARDED,
        *_RECORDS,
        'price',
        *_TABLE,
    ),
    'untagged': (
        *_FLEET,
        *_TARGET,
        *_REGIONS,
        *_TIMED,
        *_UNTAGGED,
        *_PINS,
        *_UNASKED,
        *_PULLS,
        *_DELETING,
        *_GUARDED,
        'price',
    ),
    'tags': (
        *_FLEET,
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
    'image': (*_TARGET, *_REGIONS, 'workspace', 'include_locked', *_PINS, *_UNASKED, *_DELETING, 'price'),
    'repository': (*_TARGET, *_REGIONS, 'workspace', *_PINS, *_UNASKED, *_DELETING, 'price'),
    'apply': (*_TARGET, *_REGIONS, 'workspace', *_TIMED, *_PINS, *_UNASKED, *_DELETING, *_GUARDED),
    'explain': (*_TARGET, *_REGIONS, *_UNTAGGED, *_TAGS, *_PINS, *_PULLS, *_TABLE),
    'pins list': (*_CALLS, *_PINS, *_TABLE),
    'pins remember': (*_CALLS, 'pins_from', 'alias', *_TABLE),
    'pins lock': (*_CALLS, *_LOCKING, *_PINS, 'yes', 'dry_run', *_TABLE),
    'check': (*_FLEET, *_CALLS, 'no_cache', *_REGIONS, *_TIMED, 'repository', *_TABLE),
    'report': (*_FLEET, *_CALLS, 'no_cache', *_REGIONS, 'price', *_TABLE),
    'usage': (*_FLEET, *_CALLS, 'no_cache', *_REGIONS, 'price', 'workspace'),
    'restore': (*_CALLS, *_LOCKING, 'no_cache', 'yes', 'dry_run', 'archive', 'repository', *_TABLE),
    'undo': (*_CALLS, *_LOCKING, 'no_cache', 'yes', 'dry_run', *_TABLE),
    'policy explain': _TABLE,
    'policy test': _TABLE,
    'policy diff': (*_CALLS, 'no_cache', *_REGIONS, *_TABLE),
    'history list': (*_FLEET, 'resource_group_name', 'state', *_TABLE),
    'history show': ('state', *_TABLE),
    'cache show': ('state',),
    'cache clear': ('state',),
    'archive list': ('archive', 'registry_name', 'suffix', *_TABLE),
    'archive show': ('archive', 'price', *_TABLE),
    'archive verify': ('archive', *_TABLE),
    'archive expire': ('archive', 'yes', 'dry_run'),
    'archive compact': ('archive', 'yes', 'dry_run'),
    'archive repair': ('archive', 'yes', 'dry_run'),
}

_REGISTRY = ('registry_name', 'resource_group_name', 'suffix')
_RUNS = (
    *('state', 'order', 'impact', 'concurrency', 'max_rate', 'archive', 'archive_content', 'validate'),
    *(*_REGIONS, *_UNTAGGED, *_TAGS, *_PINS, *_UNASKED, *_PULLS, *_GUARDED),
)
_SHARED |= {
    'schedule create': (*_FLEET, *_REGISTRY, *_RUNS, 'dry_run', *_TABLE),
    'schedule update': (*_REGISTRY, 'dry_run', *_TABLE),
    **{f'schedule {verb}': (*_REGISTRY, *_TABLE) for verb in ('list', 'show', 'logs')},
    **{f'schedule {verb}': _REGISTRY for verb in ('run', 'delete')},
}

_GROUPS = {
    'Many Registries': _FLEET,
    'Sign-in': ('suffix', 'username', 'password'),
    SELECTION: (*_UNTAGGED, *_TAGS),
    'Pins': (*_PINS, *_UNASKED),
    'Pull Log': _PULLS,
    'Limits': _GUARDED,
    'State': ('state', *_LOCKING),
    'Archive': ('archive', 'archive_content', 'new_archive'),
    'Performance': ('concurrency', 'max_rate', 'impact', 'no_cache', *_TIMED),
    OUTPUT: ('price', *_RECORDS, *_TABLE),
}
"""The headings in `-h`, and what stands under each. All else stands under the first heading, `Arguments`."""

_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names}


def load_arguments(loader: AzCommandsLoader, command: str | None) -> None:
    if command and command.endswith(' show-schema'):  # it has none, and stands below a command that has
        return
    for own, names in _SHARED.items():
        with loader.argument_context(f'acr prune {own}') as context:
            for name in names:
                option = '--' + name.replace('_', '-')
                context.extra(name, options_list=[option], arg_group=_GROUP_OF.get(name))
    with loader.argument_context('acr prune') as context:
        add_shared(context)
    for own, add in (*OWN.items(), *SCHEDULES.items()):
        with loader.argument_context(f'acr prune {own}') as context:
            add(context)
