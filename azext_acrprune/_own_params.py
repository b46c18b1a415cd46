"""Options of one command, and those that one command words in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from argcomplete.completers import FilesCompleter
from azure.cli.core.commands.parameters import get_enum_type

from ._place_validators import validate_archive, validate_out, validate_plan_file, validate_report_tag
from ._registry_validators import (
    validate_optional_registry,
    validate_registries,
    validate_registry_name,
    validate_several,
)
from ._validators import (
    validate_asked_images,
    validate_asked_repositories,
    validate_images,
    validate_lock_until,
    validate_max_age,
    validate_older_than,
    validate_plan_selection,
    validate_policy_diff,
    validate_preview_tag,
    validate_restore,
    validate_schema,
    validate_shown_image,
    validate_since,
    validate_tag_selection,
    validate_taken_images,
    validate_top,
    validate_whole_repository,
)

if TYPE_CHECKING:
    from azure.cli.core.commands.parameters import AzArgumentContext


SELECTION = 'Selection'
OUTPUT = 'Output'


def _for_pins_lock(context: AzArgumentContext) -> None:
    context.argument('yes', options_list=['--yes', '-y'], action='store_true', help='Do not ask before locking.')
    context.argument('dry_run', action='store_true', help='Change nothing, and answer with what would be done.')
    context.argument(
        'release',
        action='store_true',
        help='Unlock what `az acr prune undo --lock` and `az acr prune restore --lock` locked, and do nothing else.',
    )
    context.argument(
        'marks',
        help='A folder that all machines share which lock pins on this registry. A file in it says which locks they '
        'set, and what the pins of each want; what none of them wants any more is unlocked. Also by '
        '`az config set acrprune.marks=FOLDER`.',
    )
    context.argument(
        'machine',
        help='With --marks, the name that stands there for these pins. By default that of this machine; an agent that '
        'has another name each time needs one.',
    )
    context.argument(
        'alone',
        action='store_true',
        help='No other machine locks pins on this registry: unlock what none of these pins wants any more.',
    )


def _for_restore(context: AzArgumentContext) -> None:
    context.argument('archive', help='The archive to restore from: a directory, or `azure-blob:ACCOUNT/CONTAINER`.')
    _asked_images(context)
    context.argument(
        'repository',
        nargs='+',
        arg_group=None,
        validator=validate_asked_repositories,
        help='Only these repositories: names or patterns, as in `team-a/**`.',
    )
    context.argument(
        'since', validator=validate_since, help='Only what went since then: an age such as `7d`, or a date.'
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
        help='Restore what a run deleted, from a registry that has soft delete on; with --image, --repository or '
        '--since, what the registry itself lists as deleted.',
    )
    context.argument(
        'retired',
        action='store_true',
        help='Make what a policy retired pullable again: all of it, or what --image names.',
    )
    context.argument(
        'journal',
        help='Only what this run deleted: see `az acr prune history list`. With --soft-deleted the last one when '
        'nothing else says what.',
    )
    context.argument(
        'from_registry',
        help='The registry that was archived, where it is another one: its name or its full login server. Without '
        'this it is asked.',
    )
    _changing_tags(context)
    context.argument(
        'dry_run',
        action='store_true',
        help='Change nothing, read all that would be pushed, verify it, and answer with what would be restored.',
    )


def _for_undo(context: AzArgumentContext) -> None:
    context.argument(
        'run',
        options_list=['--run'],
        help='The run: see `az acr prune history list`. When left out, the last one that deleted something from this '
        'registry.',
    )
    context.argument(
        'archive',
        validator=validate_archive,
        help='The archive that the run wrote, on a machine that has no journal of it: a directory, or '
        '`azure-blob:ACCOUNT/CONTAINER`. Its copy of the journal tells what the run took.',
    )
    _asked_images(context)
    _changing_tags(context)
    context.argument('dry_run', action='store_true', help='Change nothing, and answer with what would come back.')


def _asked_images(context: AzArgumentContext) -> None:
    context.argument(
        'images',
        options_list=['--image'],
        action='append',
        validator=validate_asked_images,
        help='Only this image, with what belongs to it: `repository:tag`, as a name or a pattern, or '
        '`repository@digest`, which may be cut as tables show it. Can be given several times.',
    )


def _changing_tags(context: AzArgumentContext) -> None:
    context.argument(
        'overwrite',
        action='store_true',
        help='Also take tags back that are on other manifests now. Without it these stay.',
    )
    context.argument('yes', options_list=['--yes', '-y'], action='store_true', help='Do not ask.')
    context.argument(
        'lock',
        action='store_true',
        help='Lock what comes back against deletion, until `az acr prune pins lock --release`.',
    )
    context.argument(
        'lock_until',
        validator=validate_lock_until,
        help='The same, until a time from now such as `30d`, or a date: the next `az acr prune pins lock` after that '
        'unlocks it.',
    )


def _for_archive(context: AzArgumentContext) -> None:
    context.argument(
        'archive', required=True, arg_group=None, help='The archive: a directory, or `azure-blob:ACCOUNT/CONTAINER`.'
    )


def _for_archive_change(context: AzArgumentContext) -> None:
    _for_archive(context)
    context.argument('yes', options_list=['--yes', '-y'], action='store_true', help='Do not ask.')
    context.argument('dry_run', action='store_true', help='Change nothing, and answer with what would be done.')


def _for_archive_expire(context: AzArgumentContext) -> None:
    _for_archive_change(context)
    context.argument(
        'older_than',
        validator=validate_older_than,
        help='Take out what was archived longer ago than this: a duration such as `180d`, or a date such as '
        '`2026-08-01`.',
    )


def _for_archive_list(context: AzArgumentContext) -> None:
    _for_archive(context)
    context.argument(
        'registry_name', required=False, validator=validate_optional_registry, help='Only images of this registry.'
    )
    context.argument('repository', nargs='+', help='Only these repositories: names or patterns, as in `team-a/**`.')


def _for_cache(context: AzArgumentContext) -> None:
    context.argument('registry_name', validator=validate_registry_name)


def _for_archive_show(context: AzArgumentContext) -> None:
    _for_archive(context)
    context.argument(
        'images',
        options_list=['--image'],
        nargs=1,
        required=False,
        validator=validate_shown_image,
        help='Show this image: `repository:tag` or `repository@digest`.',
    )


def _for_history(context: AzArgumentContext) -> None:
    context.argument(
        'registry_name', required=False, validator=validate_optional_registry, help='Only runs on this registry.'
    )


def _for_history_list(context: AzArgumentContext) -> None:
    context.argument(
        'registry_name', nargs='+', required=False, validator=validate_several, help='Only runs on these registries.'
    )


def _for_history_show(context: AzArgumentContext) -> None:
    context.argument(
        'run', options_list=['--run'], help='The run: see `az acr prune history list`. The last one when left out.'
    )
    context.argument(
        'images',
        options_list=['--image'],
        nargs=1,
        validator=validate_taken_images,
        help='The last run that took this image: `repository:tag` or `repository@digest`, which may be cut as tables '
        'show it.',
    )
    context.argument('requests', action='store_true', help='Show each request, and what came of it.')


def _several_registries(context: AzArgumentContext) -> None:
    context.argument(
        'registry_name',
        nargs='+',
        required=False,
        validator=validate_registries,
        help='The container registry: its name or its full login server. You can configure the default with '
        '`az configure --defaults acr=myregistry`. Of several, each is done by itself, one after the other, and what '
        'fails in one leaves the others alone.',
    )


def _for_untagged(context: AzArgumentContext) -> None:
    _several_registries(context)


def _for_plan(context: AzArgumentContext) -> None:
    _several_registries(context)
    context.argument(
        'show_kept', action='store_true', arg_group=OUTPUT, help='Also show what is kept, each with its reason.'
    )
    context.argument(
        'group_by',
        arg_group=OUTPUT,
        arg_type=get_enum_type(['repository', 'reason', 'rule']),
        help='Also show sums of the plan by repository, by reason, or by rule; the table then has these '
        'sums in place of the manifests.',
    )
    context.argument(
        'out',
        arg_group=OUTPUT,
        validator=validate_out,
        completer=FilesCompleter(),
        help='Also write the plan to this file, as JSON; `state:NAME` is a plan in the state.',
    )
    context.argument('policy_file', arg_group=SELECTION, validator=validate_plan_selection)
    context.argument(
        'inventory_out',
        arg_group=OUTPUT,
        completer=FilesCompleter(),
        help='Also write all that was read of the registry to this file, for `az acr prune policy diff`.',
    )
    context.argument(
        'detailed_exit_code',
        action='store_true',
        arg_group=OUTPUT,
        help='Exit with 2 when something would be deleted or changed, with 0 when nothing would, and with 1 when not '
        'all could be read or the command failed.',
    )
    context.argument(
        'strict_policy',
        action='store_true',
        arg_group=SELECTION,
        help='With --policy: fail when something in it that protects or keeps matches nothing in the registry.',
    )


def _for_check(context: AzArgumentContext) -> None:
    _several_registries(context)
    context.argument(
        'repository',
        nargs='+',
        help='Only these repositories: names or patterns, as in `team-a/**`. Nothing else is read.',
    )


def _for_report(context: AzArgumentContext) -> None:
    _several_registries(context)
    context.argument(
        'out', validator=validate_out, completer=FilesCompleter(), help='Write the report to this HTML file.'
    )
    context.argument(
        'plan_file',
        options_list=['--plan'],
        validator=validate_plan_file,
        completer=FilesCompleter(),
        help='Show what this plan does: a file that `az acr prune plan --out` wrote, of any age.',
    )


def _for_usage(context: AzArgumentContext) -> None:
    _several_registries(context)
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
        help='Show this many rows, those with the most bytes; the others are one sum. 0 is all. When left out: all '
        'repositories, of which a table shows 50, and 50 rows of anything else.',
    )
    context.argument(
        'workspace',
        help='Also show when something was last pulled, by the log in this Log Analytics '
        'workspace: its name, its workspace id, or its resource id.',
    )


def _for_explain(context: AzArgumentContext) -> None:
    context.argument(
        'images',
        options_list=['--image'],
        nargs=1,
        validator=validate_images,
        help='The image: `repository:tag` or `repository@digest`.',
    )
    context.argument('policy_file', arg_group=SELECTION, validator=validate_plan_selection)


def _for_tags(context: AzArgumentContext) -> None:
    _several_registries(context)
    context.argument(
        'ago',
        help='How long something must have been left alone before it may go: `30d`, `2w`, `2d3h6m` or `10m`, or since '
        'which date, as in `2026-08-01`. Needed unless a number stays (--keep and the like), or with --pulled-within '
        'or --untagged-only; `1d` then. 0 puts pushes under way at risk: their images are untagged until the index '
        'arrives.',
    )
    context.extra(
        'untag_only',
        options_list=['--untag-only'],
        action='store_true',
        validator=validate_tag_selection,
        help='Only remove tags, which is what happens without --untagged too: this says so, and no '
        'other option can change it.',
    )


def _for_image(context: AzArgumentContext) -> None:
    context.argument(
        'images',
        options_list=['--image'],
        action='append',
        validator=validate_images,
        help='The image: `repository:tag` or `repository@digest`. Can be given several times.',
    )
    context.argument(
        'untag',
        action='store_true',
        help='Only remove the tag. That frees nothing, unless the registry has a retention policy.',
    )
    context.argument(
        'only_if',
        options_list=['--only-if'],
        arg_type=get_enum_type(['ghost', 'orphan', 'partial']),
        help='Delete nothing unless the image still is what `az acr prune check` found: `ghost`, listed and not '
        'there; `orphan`, attached to nothing that exists in the registry; `partial`, an index of which no '
        'manifest is left. Nothing goes that is younger than a day, or that has a tag of people, annotations, or '
        'something attached to it.',
    )


def _for_repository(context: AzArgumentContext) -> None:
    context.argument(
        'name',
        options_list=['--repository'],
        nargs=None,
        validator=validate_whole_repository,
        help='The repository to delete.',
    )


def _for_apply(context: AzArgumentContext) -> None:
    context.argument(
        'plan_file',
        options_list=['--plan'],
        validator=validate_plan_file,
        completer=FilesCompleter(),
        help='The plan: a file that `az acr prune plan --out` wrote, or `state:NAME` for one in the state.',
    )
    context.argument('max_age', validator=validate_max_age, help='Refuse a plan that is older than this.')
    context.argument(
        'preview_tag',
        validator=validate_preview_tag,
        help='While this tag is in the registry, as `repository:tag`, delete nothing, as with --dry-run, and then '
        'remove the tag: the next run deletes. `az acr prune schedule create` sets such a tag. With the digest of an '
        'artifact, as `repository:tag@digest`, delete only while the schedule is on that artifact, and remove the tag '
        'only where it was set for it.',
    )
    context.extra(
        'report_tag',
        options_list=['--report-tag'],
        validator=validate_report_tag,
        help='Push what the run did or would do to the registry, as `acrprune/reports:tag`, with --dry-run too: the '
        'Markdown of --summary-file. Needs the role AcrPush. The report that had the tag before is deleted if that is '
        'allowed.',
    )


def _for_policy(context: AzArgumentContext) -> None:
    context.argument('policy_file', options_list=['--file'], completer=FilesCompleter(), help='The policy file.')
    context.argument(
        'name',
        arg_type=get_enum_type(['ci', 'ml', 'production']),
        options_list=['--name', '-n'],
        help='Which example: a CI registry, ML images, or a production registry.',
    )


def _for_policy_example(context: AzArgumentContext) -> None:
    context.argument(
        'out', completer=FilesCompleter(), validator=validate_out, help='Write it to this file, with its comments.'
    )


def _for_schema(context: AzArgumentContext) -> None:
    context.argument(
        'name',
        options_list=['--name', '-n'],
        validator=validate_schema,
        help="The document, such as `plan`: 'az acr prune schema list' names all.",
    )


def _for_policy_diff(context: AzArgumentContext) -> None:
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
        help='`more`: exit with 1 when the new policy takes anything that the old one does not, or guards less.',
    )


def _for_policy_test(context: AzArgumentContext) -> None:
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


OWN = {
    'cache': _for_cache,
    'pins lock': _for_pins_lock,
    'restore': _for_restore,
    'undo': _for_undo,
    'archive list': _for_archive_list,
    'archive show': _for_archive_show,
    'archive verify': _for_archive,
    'archive expire': _for_archive_expire,
    'archive compact': _for_archive_change,
    'archive repair': _for_archive_change,
    'history': _for_history,
    'history list': _for_history_list,
    'history show': _for_history_show,
    'plan': _for_plan,
    'check': _for_check,
    'report': _for_report,
    'usage': _for_usage,
    'explain': _for_explain,
    'untagged': _for_untagged,
    'tags': _for_tags,
    'image': _for_image,
    'repository': _for_repository,
    'apply': _for_apply,
    'policy': _for_policy,
    'policy show-example': _for_policy_example,
    'policy diff': _for_policy_diff,
    'schema show': _for_schema,
    'policy test': _for_policy_test,
}
"""The options that one command has for itself, or words differently, in the order in which they are added."""
