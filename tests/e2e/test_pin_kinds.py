"""Files of six kinds in the real az: whatever they use stays, and a run that nobody is asked about stops at a doubt."""

from __future__ import annotations

import pytest

from tests.registry.azcli import ADMIN_LOGIN

from .images import Shelf

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
ALL = ('--match', '**:*', '--ago', '0', '--untagged', '--yes', '--max-percent', '100')

FILES = {
    'Dockerfile': 'ARG REG=HOST\nARG TAG=docker\nFROM $REG/team/app:$TAG AS build\nARG TAG=other\nRUN echo $TAG\n',
    'main.tf': 'variable "tag" {\n  validation {\n    condition = true\n  }\n  default = "terraform"\n}\n'
    'resource "x" "y" {\n  image = "HOST/team/app:${var.tag}"\n}\n',
    'values.yaml': 'web:\n  image: {registry: HOST, repository: team/app, tag: helm}\n',
    'main.json': '{"parameters": {"tag": {"defaultValue": "outer"}}, "resources": [{"properties": {"parameters":'
    ' {"tag": {"value": "arm"}}, "template": {"parameters": {"tag": {"type": "string"}}, "resources":'
    ' [{"properties": {"image":'
    " \"[format('HOST/team/app:{0}', parameters('tag'))]\"}}]}}}]}",
    'deploy.yml': 'env: {REGISTRY: HOST, TAG: wrong}\njobs:\n  a:\n    steps:\n'
    '    - run: docker run $REGISTRY/team/app:$TAG\n      env: {TAG: github}\n',
    'images.txt': 'REPOSITORY      TAG      DIGEST\nHOST/team/app   <none>   UNTAGGED\n',
}


@pytest.fixture
def shelf(registry, now):
    return Shelf(registry.storage, now)


def written(registry, folder, files, digest=''):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text.replace('HOST', registry.login_server).replace('UNTAGGED', digest))
    return str(folder)


def test_of_six_kinds_of_files_nothing_in_use_is_deleted(az, registry, shelf, tmp_path):
    used = {shelf.image(tag, tag=tag) for tag in ('docker', 'terraform', 'helm', 'arm', 'github')}
    of_table = shelf.image('untagged')
    for tag in ('other', 'outer', 'wrong', 'unused'):
        shelf.image(tag, tag=tag)
    folder = written(registry, tmp_path / 'deploy', FILES, of_table)
    az(*PRUNE, 'tags', *TARGET, *ALL, '--pins', folder, check=True)
    assert set(registry.storage.state('team/app').manifests) == {*used, of_table}


@pytest.mark.parametrize(
    ('text', 'word'),
    [
        ('registry: HOST\n', 'names this registry, and no image'),
        ('image: {repository: HOST/team/app}\n', 'neither a tag nor a digest'),
        ('image: ${REGISTRY}/team/app:${TAG}\n', 'its tag is filled in'),
        ('image: HOST/team/app:gone\n', 'is not in the registry'),
    ],
)
def test_a_doubt_stops_a_run_that_nobody_is_asked_about_and_is_a_warning_elsewhere(
    az, registry, shelf, tmp_path, text, word
):
    digests = {shelf.image('used', tag='v1'), shelf.image('other', tag='v2')}
    folder = written(registry, tmp_path / 'deploy', {'a.yaml': f'image: HOST/team/app:v1\n---\n{text}'})
    stopped = az(*PRUNE, 'tags', *TARGET, *ALL, '--pins', folder)
    assert stopped.code == 1 and 'a.yaml:3' in stopped.err and word in stopped.err, stopped.err
    assert '--no-strict-pins' in stopped.err and 'Nothing was deleted' in stopped.err
    assert set(registry.storage.state('team/app').manifests) == digests
    planned = az(*PRUNE, 'plan', *TARGET, *ALL[:5], '--pins', folder, check=True)
    assert word in planned.err
    az(*PRUNE, 'tags', *TARGET, *ALL, '--pins', folder, '--no-strict-pins', check=True)
    assert len(registry.storage.state('team/app').manifests) == 1


def test_a_file_that_is_named_and_names_nothing_is_an_error(az, registry, shelf, tmp_path):
    digest = shelf.image('other', tag='v2')
    (tmp_path / 'a.yaml').write_text('image: nginx:1\n')
    stopped = az(*PRUNE, 'tags', *TARGET, *ALL, '--pins', str(tmp_path / 'a.yaml'))
    assert stopped.code == 1 and 'names no image of this registry' in stopped.err
    assert set(registry.storage.state('team/app').manifests) == {digest}


def test_a_picture_in_a_folder_is_no_problem(az, registry, shelf, tmp_path):
    shelf.image('other', tag='v2')
    used = shelf.image('used', tag='v1')
    folder = written(registry, tmp_path / 'deploy', {'a.yaml': 'image: HOST/team/app:v1\n'})
    (tmp_path / 'deploy' / 'logo.png').write_bytes(b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR')
    az(*PRUNE, 'tags', *TARGET, *ALL, '--pins', folder, check=True)
    assert set(registry.storage.state('team/app').manifests) == {used}
