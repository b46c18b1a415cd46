"""Runs `azdev linter` and `azdev style` on the extension: `python -m tests.azdev`, in an environment that has azdev.

azdev expects a checkout of azure-cli-extensions, a configuration of its own, and two files from the network of which
the rules that run here need nothing. All of that is made in a temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from importlib.resources import files
from pathlib import Path

import yaml
from azure.cli import command_modules

ROOT = Path(__file__).resolve().parents[1]

RULE_TYPES = ('params', 'commands', 'command_groups', 'help_entries')
"""All but `command_test_coverage`, which compares two branches of Azure's own repository."""

EXCLUDED_FROM_PYLINT = {
    'confusing-with-statement': 'sqlite3 commits by `with connection`, which has to be named first',
    'redefined-outer-name': 'what a function imports for itself may be called like something else in its module',
    'too-few-public-methods': 'records, and protocols with one method, are what data flows through',
    'too-many-instance-attributes': 'a record has as many fields as the document that it stands for',
    'too-many-return-statements': 'a row of early returns is plainer than conditions inside each other',
    'too-many-positional-arguments': 'its sibling too-many-arguments is excluded by azure-cli itself',
}
"""Beside what azure-cli excludes, each with its reason."""

_AZDEV = """
import multiprocessing, sys
from azure.cli import command_modules
command_modules.__path__ = [sys.argv.pop(1)]
multiprocessing.cpu_count = lambda: 1
from azdev.__main__ import main
main()
"""
"""azdev without most commands of az: it would load the help of all of them, which takes a minute. As one process, too:
each pylint works out anew what the others know, and the other core has the tests.
"""

_ALL_IS_KEPT = 'import gc; gc.disable()'
"""pylint makes millions of objects that live to its end: to look for garbage among them takes a fifth of its time."""

_MODULES = ('acr', 'storage')
"""The group that ours is in, and what sets a default without which azdev loads no arguments."""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        environment = _prepare(Path(folder))
        modules = _modules(Path(folder, 'modules'))
        linter = ('linter', 'acrprune', '--min-severity', 'low', '--rule-types', *RULE_TYPES)
        return max(_run(environment, modules, *linter), _run(environment, modules, 'style', 'acrprune'))


def _prepare(work: Path) -> dict[str, str]:
    """Lay out the folders that azdev looks for; gives the environment in which it finds them."""
    extensions, cli = work / 'azure-cli-extensions', work / 'azure-cli'
    _extension(extensions / 'src' / 'acrprune')
    _pylintrc(extensions / 'pylintrc')
    (extensions / '.flake8').write_text((files('azdev.config') / 'ext.flake8').read_text())
    _patterns(cli / 'scripts' / 'ci' / 'cmdcov.yml')
    (work / 'python').mkdir()
    (work / 'python' / 'sitecustomize.py').write_text(_ALL_IS_KEPT)
    (work / 'config').write_text(f'[cli]\nrepo_path = {cli}\n[ext]\nrepo_paths = {extensions}\n')
    return {
        **os.environ,
        'VIRTUAL_ENV': sys.prefix,
        'PYTHONPATH': str(work / 'python'),
        'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
        'AZDEV_CONFIG_DIR': str(work),
        'AZURE_CONFIG_DIR': str(work / 'azure'),
        'AZURE_EXTENSION_DIR': str(work / 'none'),
        'AZURE_EXTENSION_DEV_SOURCES': str(extensions),
        'AZURE_CORE_COLLECT_TELEMETRY': 'no',
        'NO_COLOR': '1',
    }


def _modules(folder: Path) -> Path:
    """A folder with the command modules of azure-cli that are loaded."""
    folder.mkdir()
    for path in command_modules.__path__:
        for name in _MODULES:
            (folder / name).symlink_to(Path(path, name))
    return folder


def _extension(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / 'azext_acrprune').symlink_to(ROOT / 'azext_acrprune')
    subprocess.run(
        [sys.executable, 'setup.py', '--quiet', 'egg_info', '--egg-base', str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


def _pylintrc(file: Path) -> None:
    """azure-cli's own settings for extensions, and what is excluded here."""
    settings = ConfigParser(interpolation=None)
    settings.read_string((files('azdev.config') / 'ext_pylintrc').read_text())
    disabled = settings['MESSAGES CONTROL']['disable']
    settings['MESSAGES CONTROL']['disable'] = ', '.join([disabled.replace('\n', ' '), *EXCLUDED_FROM_PYLINT])
    with file.open('w') as out:
        settings.write(out)


def _patterns(file: Path) -> None:
    """Patterns that match nothing: azdev downloads them otherwise, for the rules about coverage."""
    file.parent.mkdir(parents=True)
    names = ('QUO_PATTERN', 'END_PATTERN', 'DOCS_END_PATTERN', 'NOT_END_PATTERN', 'NUMBER_SIGN_PATTERN')
    file.write_text(yaml.safe_dump({'CMD_PATTERN': ['a^'] * 4, **dict.fromkeys(names, 'a^')}))


def _run(environment: dict[str, str], modules: Path, *arguments: str) -> int:
    """Run azdev; what it says is shown only when something is wrong."""
    command = [sys.executable, '-c', _AZDEV, str(modules), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    print(f'azdev {arguments[0]}: {"failed" if done.returncode else "passed"}', flush=True)
    if done.returncode:
        print(done.stdout, done.stderr)
    return done.returncode


if __name__ == '__main__':
    sys.exit(main())
