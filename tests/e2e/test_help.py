"""Help is part of the product: every command and option is explained. `test_documents` runs the examples."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

COMMANDS = ['plan', 'untagged', 'tags', 'image', 'repository', 'apply', 'explain', 'report', 'usage', 'check']
POLICY_COMMANDS = [
    'policy validate',
    'policy explain',
    'policy test',
    'policy diff',
    'policy show-schema',
    'policy show-example',
]
CACHE_COMMANDS = ['cache show', 'cache clear']


def test_the_group_is_listed_below_acr(az):
    assert re.search(r'prune\s+\[Preview]\s+: Delete stale image data safely', az('acr', '-h', check=True).out)


def test_the_group_lists_its_commands(az):
    text = az('acr', 'prune', '-h', check=True).out
    for command in COMMANDS:
        assert re.search(rf'\n    {command}\s+: \S', text)


@pytest.mark.parametrize('command', COMMANDS + POLICY_COMMANDS + CACHE_COMMANDS)
def test_every_option_is_explained_and_there_are_examples(az, command):
    text = az('acr', 'prune', *command.split(), '-h', check=True).out
    own, _, rest = text.partition('Global Arguments')
    for option in re.findall(r'\n    (--[\w-]+)', own):
        assert re.search(rf'\n    {option}[^:]*: \S', own), f'{option} is not explained'
    assert 'Examples' in rest
    assert not re.search(r'Default:\s+\S+\s+Default:', own), 'az adds the default itself'


def test_loading_the_extension_imports_nothing_heavy():
    heavy = (
        'azure.containerregistry',
        'azure.core',
        'requests',
        'regex',
        'fastjsonschema',
        'semver',
        'jwt',
        'sqlite3',
        'azext_acrprune.registry',
        'azext_acrprune.inventory',
        'azext_acrprune.decide',
        'azext_acrprune.documents',
        'azext_acrprune.apply',
        'azext_acrprune.show',
        'azext_acrprune.custom',
    )
    code = (
        'import sys, azure.cli.core.commands\nfrom azure.cli.core.mock import DummyCli\n'
        'cli = DummyCli(); before = set(sys.modules)\n'
        'from azext_acrprune import COMMAND_LOADER_CLS as Loader\n'
        'loader = Loader(cli_ctx=cli); loader.load_command_table([])\n'
        "print('\\n'.join(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert 'azext_acrprune.commands' in loaded
    assert [name for name in loaded if name.startswith(heavy)] == []
