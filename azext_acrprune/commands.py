"""Which command is which function."""


def load_command_table(loader, _):
    with loader.command_group('acr prune', is_preview=True) as group:
        group.custom_command('plan', 'plan', table_transformer=_table('plan_rows'))
        group.custom_command('untagged', 'untagged', table_transformer=_table('result_rows'))
        group.custom_command('tags', 'tags', table_transformer=_table('result_rows'))
        group.custom_command('image', 'image', table_transformer=_table('result_rows'))
        group.custom_command('repository', 'repository', table_transformer=_table('result_rows'))
        group.custom_command('apply', 'apply', table_transformer=_table('result_rows'))
        group.custom_command('explain', 'explain', table_transformer=_table('explain_rows'))
    with loader.command_group('acr prune cache') as group:
        group.custom_show_command('show', 'cache_show', table_transformer=_table('cache_rows'))
        group.custom_command('clear', 'cache_clear', table_transformer=_table('cache_rows'))
    with loader.command_group('acr prune policy') as group:
        group.custom_command('validate', 'policy_validate')
        group.custom_command('show-schema', 'policy_show_schema')
        group.custom_command('show-example', 'policy_show_example')


def _table(rows):
    """The table view of a command, imported when it is needed."""
    def transform(result):
        from azext_acrprune.show import tables
        return getattr(tables, rows)(result)
    return transform
