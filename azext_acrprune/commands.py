"""Which command is which function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.cli.core import AzCommandsLoader
    from azure.cli.core.commands import CliCommandType


def load_command_table(loader: AzCommandsLoader, args: list[str] | None) -> None:
    with loader.command_group('acr prune', _of('planning'), is_preview=True) as group:
        group.command('plan', 'plan', table_transformer=_table('plan_rows'))
        group.command('explain', 'explain', table_transformer=_table('explain_rows'))
    with loader.command_group('acr prune', _of('deleting'), is_preview=True) as group:
        group.command('untagged', 'untagged', table_transformer=_table('result_rows'))
        group.command('tags', 'tags', table_transformer=_table('result_rows'))
        group.command('image', 'image', table_transformer=_table('result_rows'))
        group.command('repository', 'repository', table_transformer=_table('result_rows'))
        group.command('apply', 'apply', table_transformer=_table('result_rows'))
    with loader.command_group('acr prune', _of('reporting'), is_preview=True) as group:
        group.command('report', 'report', table_transformer=_table('report_rows'))
    with loader.command_group('acr prune', _of('checking'), is_preview=True) as group:
        group.command('check', 'check', table_transformer=_table('check_rows'))
    with loader.command_group('acr prune', _of('using'), is_preview=True) as group:
        group.command('usage', 'usage', table_transformer=_table('usage_rows', 'usage_tables'))
    with loader.command_group('acr prune', _of('restoring'), is_preview=True) as group:
        group.command('restore', 'restore', table_transformer=_table('restore_rows'))
    with loader.command_group('acr prune', _of('undoing'), is_preview=True) as group:
        group.command('undo', 'undo', table_transformer=_table('restore_rows'))
    _load_groups(loader)
    if 'show-schema' in (args or ()):
        _load_schemas_of_commands(loader)


def _load_groups(loader: AzCommandsLoader) -> None:
    """The commands that are in groups of their own."""
    with loader.command_group('acr prune archive', _of('archives')) as group:
        group.command('list', 'list_images', table_transformer=_table('image_rows', 'archive_tables'))
        group.show_command('show', 'show', table_transformer=_table('archive_rows', 'archive_tables'))
        group.command('verify', 'verify', table_transformer=_table('verify_rows', 'archive_tables'))
        group.command('expire', 'expire', table_transformer=_table('summary_rows', 'archive_tables'))
        group.command('compact', 'compact', table_transformer=_table('summary_rows', 'archive_tables'))
        group.command('repair', 'repair', table_transformer=_table('summary_rows', 'archive_tables'))
    with loader.command_group('acr prune history', _of('history')) as group:
        group.command('list', 'list_runs', table_transformer=_table('runs_rows', 'history_tables'))
        group.show_command('show', 'show_run', table_transformer=_table('run_rows', 'history_tables'))
    with loader.command_group('acr prune cache', _of('caching')) as group:
        group.show_command('show', 'show', table_transformer=_table('cache_rows'))
        group.command('clear', 'clear', table_transformer=_table('cache_rows'))
    with loader.command_group('acr prune pins', _of('pins')) as group:
        group.command('list', 'list_pins', table_transformer=_table('pin_rows'))
        group.command('remember', 'remember_pins', table_transformer=_table('pin_rows'))
        group.command('lock', 'lock', table_transformer=_table('lock_rows'))
    with loader.command_group('acr prune policy', _of('policies')) as group:
        group.command('validate', 'validate')
        group.command('explain', 'explain', table_transformer=_table('policy_explain_rows', 'policy_tables'))
        group.command('test', 'test', table_transformer=_table('policy_test_rows', 'policy_tables'))
        group.command('diff', 'diff', table_transformer=_table('policy_diff_rows', 'policy_tables'))
        group.command('show-schema', 'show_schema')
        group.command('show-example', 'show_example')
    with loader.command_group('acr prune schedule', _of('schedules')) as group:
        group.command('create', 'create', table_transformer=_table('schedule_rows', 'schedule_tables'))
        group.command('update', 'update', table_transformer=_table('schedule_rows', 'schedule_tables'))
        group.command('delete', 'delete', confirmation=True)
    with loader.command_group('acr prune schedule', _of('schedule_looks')) as group:
        group.command('list', 'list_schedules', table_transformer=_table('schedules_rows', 'schedule_tables'))
        group.show_command('show', 'show', table_transformer=_table('schedule_rows', 'schedule_tables'))
        group.command('run', 'run')
        group.command('logs', 'logs', table_transformer=_table('log_rows', 'schedule_tables'))
    with loader.command_group('acr prune schema', _of('showing_schemas')) as group:
        group.command('list', 'list_schemas')
        group.show_command('show', 'show')


def _load_schemas_of_commands(loader: AzCommandsLoader) -> None:
    """`az acr prune plan show-schema`, and the same of every command.

    az has no place for a command below a command, but it parses only the one that is asked for. So they are there when
    one of them is asked for, and the group `schema` is the one that help shows.
    """
    from .documents.schemas import OF_COMMAND

    with loader.command_group('acr prune', _of('showing_schemas'), is_preview=True) as group:
        for command in OF_COMMAND:
            group.command(f'{command} show-schema', 'show_of_command')


def print_safely(cli_ctx: Any) -> None:
    """Let az print only what no terminal and no pipeline obeys, for what is in a registry was written by others."""
    from .show.safe import make_safe

    make_safe(cli_ctx)


def _of(module: str) -> CliCommandType:
    """The commands in one module, which is imported when one of them runs."""
    from azure.cli.core.commands import CliCommandType

    return CliCommandType(operations_tmpl=f'azext_acrprune.custom.{module}#{{}}')


def _table(rows: str, module: str = 'tables') -> Callable[[Any], Any]:
    """The table view of a command, imported when it is needed."""

    def transform(result: Any) -> Any:
        from importlib import import_module

        return getattr(import_module(f'azext_acrprune.show.{module}'), rows)(result)

    return transform
