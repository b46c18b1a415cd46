"""Every example in README, docs/ and help is run against the local registry, or parsed where it needs Azure."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from azure.cli.core.mock import DummyCli

from azext_acrprune import COMMAND_LOADER_CLS as Loader
from azext_acrprune.pins.pinned import Pin
from azext_acrprune.pins.references import Reference
from azext_acrprune.sources.memory import Memory, Seen, memory_path
from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.printed import wrong_with

from .examples import DOCUMENTS, ROOT, Example, examples, shell_lines
from .images import Shelf

TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
LOCAL = ('archive', 'policy validate', 'policy explain', 'policy test', 'policy show', 'cache', 'history')
DELETING = ('untagged', 'tags', 'image', 'repository', 'apply', 'pins lock', 'undo')
SAMPLE_DIGEST = re.compile(r'sha256:0123456789abcdef[0-9a-f]+')
SAMPLE_RUN = re.compile(r'\d{8}T[\d.]+Z-[0-9a-f]{8}')

EXAMPLES = examples()
PARTS = 4
"""So many tests share the examples, for several processes."""


def fill(registry, now, folder: Path) -> dict[str, str]:
    """Images and files with the names that the examples use; gives digests by tag."""
    digests = {}
    for repository, tags in {
        'team-a/api': ('v1', 'v2', 'v3', 'main-1', 'pr-1', 'latest'),
        'team-a/old': ('v1', 'v2'),
        'hello-world': ('a', 'b'),
    }.items():
        shelf = Shelf(registry.storage, now, repository)
        for number, tag in enumerate(tags):
            digests[f'{repository}:{tag}'] = shelf.image(f'{repository} {tag}', tag, days=400 - number)
        shelf.image(f'{repository} untagged', days=50)
    image = f'{registry.login_server}/team-a/api@{digests["team-a/api:v2"]}'
    for name in ('deploy/app.yaml', 'charts/values.yaml'):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'kind: Pod\nspec: {{containers: [{{image: "{image}"}}]}}\n')
    pod = {'kind': 'Pod', 'spec': {'containers': [{'image': image}]}}
    (folder / 'pods.json').write_text(json.dumps({'kind': 'List', 'items': [pod]}))
    return digests


def arguments_of(example: Example, digests: dict[str, str], archive: Path) -> tuple[str, ...]:
    """The arguments of an example, with the local registry and its sign-in in place of names that stand for others."""
    text = '\0'.join(example.arguments)
    text = text.replace('\0-u\0mytoken\0-p\0mypassword', '').replace('myregistry-abc123.azurecr.io', 'localhost')
    login = TARGET[:2] if example.command.startswith(LOCAL) else TARGET
    text = text.replace('myregistry\0otherregistry', 'myregistry')  # there is one here
    text = text.replace('-r\0myregistry', '\0'.join(login)) if text.endswith('myregistry') else text
    text = text.replace('-r\0myregistry\0', '\0'.join((*login, '')))
    text = SAMPLE_DIGEST.sub(digests['team-a/api:v3'], text).replace('/mnt/archive', str(archive))
    text = text.replace('/mnt/shared', str(archive.parent))
    arguments = tuple(text.split('\0'))
    if example.command in DELETING and not {'--yes', '--dry-run'} & set(arguments):
        arguments += ('--yes',)
        if example.command == 'tags':
            arguments += ('--max-percent', '100')
    return arguments


def prepare(az, example: Example, arguments: tuple[str, ...], archive: Path) -> tuple[str, ...]:
    """Do what has to come before an example: an archive to restore from, a plan to apply, a run to look at."""
    prune = ('acr', 'prune')
    policies = ROOT / 'azext_acrprune' / 'policy' / 'examples'
    for name in ('policy.yaml', 'new.yaml', 'main.yaml'):
        (az.home / name).write_text((policies / 'ci.yaml').read_text())
    tests = (policies / 'ci.tests.yaml').read_text()
    (az.home / 'policy.tests.yaml').write_text(tests.replace('ci.yaml', 'policy.yaml'))
    if example.command == 'policy show-example':  # which takes no file's place
        (az.home / 'policy.yaml').unlink()
    if '--inventory' in arguments:
        az(*prune, 'plan', *TARGET, '--inventory-out', 'inventory.json', '-o', 'none', check=True)
    if '--plan' in arguments:
        az(*prune, 'plan', *TARGET, '--out', 'plan.json', '-o', 'none', check=True)
    if '--archive' in arguments and example.command != 'restore' and not example.command.startswith('archive'):
        archive.mkdir()
        (archive / 'oci-layout').write_text('{"imageLayoutVersion": "1.0.0"}')
    if example.command in ('restore', 'undo') or example.command.startswith('archive'):
        named = ('--image', 'team-a/api:v1', '--archive', str(archive), '--new-archive', '--yes')
        az(*prune, 'image', *TARGET, *named, check=True)
    if example.command == 'history show':
        az(*prune, 'image', *TARGET, '--image', 'team-a/api:v3', '--yes', check=True)
        az(*prune, 'untagged', *TARGET, '--yes', check=True)
    if example.command in ('history show', 'undo'):
        newest = az(*prune, 'history', 'list', check=True).json[0]['run']
        arguments = tuple(SAMPLE_RUN.sub(newest, argument) for argument in arguments)
    return arguments


def remember_a_look(folder: Path, host: str) -> None:
    """Write down what `pins remember` saw in a cluster a hundred days ago, and today."""
    pin = Pin(Reference('team-a/api', 'v1'), 'kubectl production: Pod default/web')
    for days in (100, 0):
        seen = Seen(datetime.now(timezone.utc) - timedelta(days=days), 'kubectl:production', (pin,))
        Memory(memory_path(str(folder), host)).add(seen)


@pytest.mark.parametrize('part', range(PARTS))
def test_every_example_runs(az, registry, now, tmp_path, part):
    for number, example in enumerate(EXAMPLES[part::PARTS]):
        if example.needs_azure:
            continue
        registry.reset()
        digests = fill(registry, now, az.home)
        remember_a_look(az.home, registry.login_server)
        archive = tmp_path / f'archive {number}'
        arguments = prepare(az, example, arguments_of(example, digests, archive), archive)
        with (az.home / 'pods.json').open() as pods:
            run = az(*arguments, stdin=pods if '-' in arguments else subprocess.DEVNULL)
        assert run.code == 0, f'{example.text}\n{run.err}'
        if example.source:
            assert example.source.startswith('kubectl get pods') and '-' in arguments, example.text


def test_every_example_that_needs_azure_parses():
    needing = [example for example in EXAMPLES if example.needs_azure]
    assert needing
    assert [wrong for each in needing if (wrong := wrong_with(shlex.join(['az', *each.arguments])))] == []


def test_there_are_examples_of_every_command():
    commands = Loader(cli_ctx=DummyCli()).load_command_table([])
    assert {f'acr prune {example.command}' for example in EXAMPLES} == set(commands)


def test_every_target_of_make_that_a_document_names_exists():
    makefile = (ROOT / 'Makefile').read_text()
    named = [match for _, line in shell_lines() for match in re.findall(r'^make ([\w-]+)', line)]
    assert named
    for target in named:
        assert re.search(rf'^{target}:', makefile, re.M), target


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document):
    text = re.sub(r'^```.*?^```', '', document.read_text(encoding='utf-8'), flags=re.M | re.S)
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        if link.startswith('https://'):
            continue
        name, _, anchor = link.partition('#')
        file = document.parent / name if name else document
        assert file.exists(), f'{document.name}: {link}'
        assert not anchor or anchor in anchors(file), f'{document.name}: {link}'


def anchors(file: Path) -> set[str]:
    """The names of headings, as GitHub makes them."""
    headings = re.findall(r'^#+ (.+)$', file.read_text(encoding='utf-8'), re.M)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def test_every_room_is_explained():
    text = (ROOT / 'docs' / 'architecture.md').read_text()
    for path in (ROOT / 'azext_acrprune').iterdir():
        name = f'{path.name}/' if path.is_dir() else path.name
        assert f'`{name}`' in text or path.suffix not in ('', '.py') or name == '__pycache__/', name


def test_the_readme_stays_short():
    assert len((ROOT / 'README.md').read_text().splitlines()) <= 170
