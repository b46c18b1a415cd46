"""Pins, in the real az."""
from __future__ import annotations

import json

import pytest

from tests.registry.azcli import ADMIN_LOGIN

from .images import Shelf

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


@pytest.fixture
def shelf(registry, now):
    return Shelf(registry.storage, now)


def present(registry, repository='team/app'):
    return set(registry.storage.repositories() and registry.storage.state(repository).manifests)


def test_what_is_pinned_by_digest_or_by_tag_stays_and_the_plan_says_by_which_line(az, registry, shelf, tmp_path):
    digests = [shelf.image(f'untagged {number}', days=30) for number in range(3)]
    tagged = shelf.image('tagged', tag='v1', days=30)
    shelf.image('old', tag='v0', days=40)
    host = registry.login_server
    (tmp_path / 'deploy.yaml').write_text(
        f'apiVersion: v1\nspec:\n- image: {host}/team/app@{digests[0]}\n- image: {host}/team/app:v1\n'
        f'- image: {host}/team/app:gone\n')
    flags = ('--filter', 'team/app:.*', '--ago', '1d', '--untagged', '--pins', str(tmp_path / 'deploy.yaml'))
    plan = az(*PRUNE, 'plan', *TARGET, *flags, '--show-kept', check=True).json
    kept = {entry['digest']: (entry['reason'], entry['because']) for entry in plan['kept']}
    assert kept == {digests[0]: ('pinned', f'{tmp_path}/deploy.yaml:3'),
                    tagged: ('pinned', f'tag v1: {tmp_path}/deploy.yaml:4')}
    assert plan['policy']['pins'] == {
        'paths': [f'{tmp_path}/deploy.yaml'], 'aliases': [], 'strict': False, 'files': {f'{tmp_path}/deploy.yaml': 3}}
    az(*PRUNE, 'tags', *TARGET, *flags, '--max-percent', '100', '--yes', check=True)
    assert present(registry) == {digests[0], tagged}
    assert set(registry.storage.tags('team/app')) == {'v1'}
