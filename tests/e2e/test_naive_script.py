"""The script of the 2018 article against `untagged`, on the demo's registry."""

from __future__ import annotations

import pytest

from tests.demo.images import Clock, push_everything
from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.storage import Storage

TARGET = ('localhost', *ADMIN_LOGIN)


@pytest.fixture
def demo(registry):
    clock = Clock()
    registry.storage = Storage(clock=clock)
    push_everything(registry, clock)
    return registry.storage


def broken(storage) -> list:
    return [
        f'{repository}:{tag}'
        for repository in storage.repositories()
        for tag in storage.tags(repository)
        if storage.whole(repository, tag)
    ]


def run_the_script(az) -> None:
    """One az process for the list of a repository's untagged digests, and one for each delete."""
    untagged = az(
        'acr',
        'manifest',
        'list-metadata',
        '-r',
        *TARGET,
        '--name',
        'web/shop',
        '--query',
        '[?tags==null].digest',
        '-o',
        'tsv',
        check=True,
    ).out.split()
    assert len(untagged) == 7
    for digest in untagged:
        az('acr', 'repository', 'delete', '-n', *TARGET, '--image', f'web/shop@{digest}', '--yes')


def test_the_script_breaks_the_multi_arch_image(az, demo):
    run_the_script(az)
    assert 'web/shop:latest' in broken(demo)


def test_untagged_leaves_every_image_whole_with_its_signature_and_sbom(az, demo):
    az('acr', 'prune', 'untagged', '-r', *TARGET, '--yes', check=True)
    assert broken(demo) == []
    index = demo.tags('web/shop')['latest'].digest
    assert [record.subject for record in demo.manifests('web/shop').values() if record.subject] == [index]
    assert index.replace(':', '-') + '.sig' in demo.tags('web/shop')
