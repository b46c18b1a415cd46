"""Options: a sentence each, with validators."""
from argcomplete.completers import FilesCompleter
from azure.cli.core.commands.parameters import (
    get_enum_type, get_resource_name_completion_list, resource_group_name_type)

from ._validators import (
    validate_ago, validate_concurrency, validate_keep, validate_max_rate, validate_out, validate_registry)


def load_arguments(loader, _):
    with loader.argument_context('acr prune') as context:
        context.argument(
            'registry_name', options_list=['--registry', '-r'], configured_default='acr', validator=validate_registry,
            completer=get_resource_name_completion_list('Microsoft.ContainerRegistry/registries'),
            help='The container registry: its name or its full login server. You can configure the default with '
                 '`az configure --defaults acr=myregistry`.')
        context.argument('resource_group_name', resource_group_name_type,
                         help='The resource group of the registry, looked up when left out.')
        context.argument('suffix', help='The tenant suffix of the login server, as in `az acr login`.')
        context.argument('username', options_list=['--username', '-u'],
                         help='The name of a token of the registry, or of its admin user.')
        context.argument('password', options_list=['--password', '-p'], help='The password that goes with --username.')
        context.argument(
            'repository', nargs='+',
            help='Only these repositories: names or patterns, where `*` stays inside one namespace and `**` crosses '
                 'namespaces, as in `team-a/**`. Layers that other repositories use are still counted as used.')
        context.argument(
            'ago', validator=validate_ago,
            help='How long something must have been left alone before it may go: `30d`, `2d3h6m`, `1h15m` or `10m`. '
                 '0 takes pushes in flight too, whose images are untagged until their index arrives.')
        context.argument(
            'keep', type=int, validator=validate_keep,
            help='Keep this many of the newest untagged images in each repository.')
        context.argument(
            'impact', arg_type=get_enum_type(['exact', 'bound']),
            help='`exact` reads every manifest of the registry and tells the freed bytes to the byte. `bound` reads '
                 'only what safety needs and gives an upper bound.')
        context.argument('concurrency', type=int, validator=validate_concurrency,
                         help='How many requests are in flight at a time, from 1 to 32.')
        context.argument(
            'max_rate', validator=validate_max_rate,
            help='Send at most this many calls, such as `600/min` or `10/s`, where others use the registry too. '
                 'Without it calls slow down only when the registry refuses them.')
        context.argument('show_kept', action='store_true', help='Also show what is kept, each with its reason.')
        context.argument('out', validator=validate_out, completer=FilesCompleter(),
                         help='Also write the plan to this file, as JSON.')
        context.argument('yes', options_list=['--yes', '-y'], action='store_true',
                         help='Do not ask before deleting.')
        context.argument('dry_run', action='store_true', help='Delete nothing and answer with the plan.')
