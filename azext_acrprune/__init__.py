"""The Azure CLI extension `acrprune`. Nothing heavy is imported here: every `az` pays for it."""

from argparse import Namespace
from typing import Any

from azure.cli.core import AzCommandsLoader
from azure.cli.core.profiles import ResourceType
from knack.events import EVENT_INVOKER_POST_PARSE_ARGS

import azext_acrprune._help  # noqa: F401  pylint: disable=unused-import


class AcrPruneCommandsLoader(AzCommandsLoader):
    """Registers `az acr prune`."""

    def __init__(self, cli_ctx: Any = None) -> None:
        super().__init__(cli_ctx=cli_ctx, resource_type=ResourceType.MGMT_CONTAINERREGISTRY, operation_group='webhooks')
        if cli_ctx:
            cli_ctx.register_event(EVENT_INVOKER_POST_PARSE_ARGS, _begin)

    def load_command_table(self, args: list[str]) -> dict[str, Any]:
        from azext_acrprune.commands import load_command_table

        load_command_table(self, args)
        return self.command_table

    def load_arguments(self, command: str) -> None:
        from azext_acrprune._params import load_arguments

        load_arguments(self, command)


def _begin(cli_ctx: Any, command: str, args: Namespace, **_: Any) -> None:
    """Before one of our commands does anything; az tells of every command."""
    if command.startswith('acr prune '):
        from azext_acrprune._place_validators import refuse_empty_names
        from azext_acrprune.commands import print_safely

        print_safely(cli_ctx)
        refuse_empty_names(cli_ctx.invocation.commands_loader.command_table[command].arguments, args)


COMMAND_LOADER_CLS = AcrPruneCommandsLoader
