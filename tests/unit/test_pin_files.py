"""Files, folders and standard input as sources of pins."""

from __future__ import annotations

import gzip
import io
import os
import threading

import pytest

from azext_acrprune.pins.read import MAX_FILE_BYTES, STANDARD_INPUT
from azext_acrprune.pins.references import Reference, RegistryNames
from azext_acrprune.sources.pin_files import SourceError, read_files

NAMES = RegistryNames('myreg.azurecr.io')


def pinned(*paths, stdin=None):
    found, _ = read_files(map(str, paths), NAMES, stdin)
    return [(pin.reference.repository, pin.where) for pin in found.pins], [str(problem) for problem in found.problems]


def test_a_folder_is_read_with_all_that_is_in_it_in_order(tmp_path):
    for name in ('b/deep/x.yaml', 'a.txt', '.git/config', 'b/.git/x.yaml'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'image: myreg.azurecr.io/{path.stem}:1\n')
    pins, problems = pinned(tmp_path)
    assert pins == [('a', f'{tmp_path}/a.txt:1'), ('x', f'{tmp_path}/b/deep/x.yaml:1')] and problems == []
    _, files = read_files([str(tmp_path)], NAMES)
    assert files == {f'{tmp_path}/a.txt': 1, f'{tmp_path}/b/deep/x.yaml': 1}


def test_links_are_followed_and_their_loops_end(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'x.yaml').write_text('image: myreg.azurecr.io/x:1\n')
    (tmp_path / 'a' / 'loop').symlink_to(tmp_path)
    (tmp_path / 'b').symlink_to(tmp_path / 'a')
    (tmp_path / 'self').symlink_to(tmp_path / 'self')
    pins, problems = pinned(tmp_path)
    assert [name for name, _ in pins] == ['x']
    assert len(problems) == 1 and 'self' in problems[0]


def test_a_pipe_in_a_folder_does_not_hang_and_one_that_is_named_is_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'x').write_text('myreg.azurecr.io/x:1')
    assert len(pinned(tmp_path)[0]) == 1
    writer = threading.Thread(target=(tmp_path / 'pipe').write_text, args=('myreg.azurecr.io/y:1',))
    writer.start()
    assert [name for name, _ in pinned(tmp_path / 'pipe')[0]] == ['y']
    writer.join()


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_what_may_not_be_read_is_a_problem_in_a_folder_and_an_error_by_name(tmp_path):
    (tmp_path / 'x').write_text('myreg.azurecr.io/x:1')
    (tmp_path / 'x').chmod(0)
    assert 'Permission denied' in pinned(tmp_path)[1][0]
    with pytest.raises(SourceError, match='Permission denied'):
        pinned(tmp_path / 'x')


def test_what_is_not_there_is_an_error(tmp_path):
    for path in (tmp_path / 'missing', tmp_path, 'nul\0byte'):
        with pytest.raises(SourceError):
            pinned(path)


def test_a_file_that_is_too_large_is_a_problem(tmp_path):
    with open(tmp_path / 'huge', 'wb') as file:
        file.truncate(MAX_FILE_BYTES + 1)
    pins, problems = pinned(tmp_path)
    assert pins == [] and 'larger than 100 MiB' in problems[0]
    assert 'larger than 100 MiB' in pinned('/dev/zero')[1][0]


def test_standard_input():
    pins, problems = pinned('-', stdin=io.BytesIO(b'{"items": [{"image": "myreg.azurecr.io/x:1"}]}'))
    assert pins == [('x', f'{STANDARD_INPUT}:1')] and problems == []


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b' \n',
        b'{"items": [{"image": "myreg.azurecr.io/x:1"},',
        b'[{"a": 1}, ',
        b'{"items": [{"image": "myreg.azur',
        b'\0\1\2',
        b'apiVersion: v1\nkind: [List\n',
        b'error: not signed in\n{',
        b'{"items": []}',
    ],
)
def test_a_standard_input_that_is_not_whole_is_an_error(data):
    with pytest.raises(SourceError):
        pinned('-', stdin=io.BytesIO(data))


def test_a_standard_input_that_is_closed_is_an_error():
    closed = io.BytesIO()
    closed.close()
    for stdin in (closed, None):
        with pytest.raises(SourceError, match='closed'):
            pinned('-', stdin=stdin)


def test_a_reference_that_cannot_be_followed_is_no_broken_standard_input():
    pins, problems = pinned('-', stdin=io.BytesIO(b'myreg.azurecr.io/x:$TAG'))
    assert pins == [] and len(problems) == 1


def test_names_of_files_that_are_no_text_can_be_shown(tmp_path):
    (tmp_path / os.fsdecode(b'a\xff\x1b.txt')).write_text('myreg.azurecr.io/x:1')
    ((_, where),) = pinned(tmp_path)[0]
    where.encode('utf-8')
    assert where.isprintable()


def test_references_are_those_of_the_registry():
    found, _ = read_files(['-'], NAMES, io.BytesIO(b'other.azurecr.io/x:1\nmyreg.azurecr.io/y:1\n'))
    assert [pin.reference for pin in found.pins] == [Reference('y', '1')]


def test_values_of_files_beside_count_and_those_above_what_was_named_do_not(tmp_path):
    folder = tmp_path / 'deploy' / 'app'
    folder.mkdir(parents=True)
    (tmp_path / 'versions.env').write_text('TAG=above\n')
    (folder / 'versions.env').write_text('TAG=beside\n')
    (folder / 'run.sh').write_text('. ../../versions.env\n. ./versions.env\ndocker run myreg.azurecr.io/x:$TAG\n')
    (tmp_path / 'deploy' / 'other.env').write_text('TAG=unnamed\n')
    found, _ = read_files([str(tmp_path / 'deploy')], NAMES)
    assert [pin.reference.tag for pin in found.pins] == ['beside']


def test_each_caller_of_a_template_gives_all_of_its_values_and_a_default_counts_beside_them(tmp_path):
    (tmp_path / 'job.yml').write_text(
        'parameters:\n- {name: app, default: none}\n- {name: tag, default: old}\n'
        'steps:\n- script: docker pull myreg.azurecr.io/${{ parameters.app }}:${{ parameters.tag }}\n'
    )
    (tmp_path / 'pipeline.yml').write_text(
        'stages:\n- {template: job.yml, parameters: {app: a, tag: "1"}}\n- {template: job.yml, parameters: {app: b}}\n'
    )
    found, _ = read_files([str(tmp_path)], NAMES)
    pinned_tags = {(pin.reference.repository, pin.reference.tag) for pin in found.pins}
    assert {('a', '1'), ('b', 'old')} <= pinned_tags and ('b', '1') not in pinned_tags


def test_what_one_item_of_a_list_lacks_is_not_taken_from_another_and_is_said(tmp_path):
    path = tmp_path / 'apps.py'
    path.write_text(
        'APPS = [{"name": "a", "tag": "1"}, {"name": "b"}]\n'
        'for app in APPS:\n    run(f"myreg.azurecr.io/{app.name}:{app.tag}")\n'
    )
    pins, problems = pinned(path)
    assert pins == [('a', f'{path}:3')] and len(problems) == 1 and 'myreg.azurecr.io/b:' in problems[0]


def test_a_name_that_another_file_makes_an_image_of_is_no_problem_and_one_that_none_uses_is(tmp_path):
    (tmp_path / 'variables.tf').write_text(
        'variable "acr" { default = "myreg.azurecr.io" }\nvariable "old" { default = "myreg.azurecr.io" }\n'
    )
    (tmp_path / 'main.tf').write_text('image = "${var.acr}/app:1"\n')
    pins, problems = pinned(tmp_path)
    assert [name for name, _ in pins] == ['app']
    assert [problem.partition(': ')[0] for problem in problems] == [f'{tmp_path}/variables.tf:2']


def test_an_image_without_a_tag_is_said_though_another_one_at_its_line_is_pinned(tmp_path):
    path = tmp_path / 'images.json'
    path.write_text('{"a": {"image": "myreg.azurecr.io/a:1"}, "b": {"source": "myreg.azurecr.io/b"}}')
    pins, problems = pinned(path)
    assert [name for name, _ in pins] == ['a']
    assert len(problems) == 1 and 'myreg.azurecr.io/b' in problems[0]


@pytest.mark.parametrize(
    ('name', 'text', 'said'),
    [
        ('login.yml', 'registries:\n  acr: {url: "https://myreg.azurecr.io", username: x}\n', 0),
        ('values.yaml', 'acr: {registry: myreg.azurecr.io, username: x}\nweb: {image: {name: app, release: 5}}\n', 1),
        ('NOTES.md', 'Images are in myreg.azurecr.io. Run myreg.azurecr.io/<repository>:<tag>.\n', 0),
        ('NOTES.md', 'Run myreg.azurecr.io/app:$TAG\n', 1),
        ('mail.py', 'email = "ops@myreg.azurecr.io"\n', 0),
        ('policy.yaml', 'message: Images may only come from myreg.azurecr.io.\n', 0),
        ('drone.yml', 'settings: {registry: myreg.azurecr.io, repo: myreg.azurecr.io/app, tags: [v1]}\n', 0),
        ('drone.yml', 'registry: myreg.azurecr.io\nrepo: myreg.azurecr.io/app\ntags: [v1]\nside: {image: app2}\n', 1),
    ],
)
def test_a_name_of_the_registry_alone_is_said_where_it_may_be_that_of_an_image(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    _, problems = pinned(tmp_path)
    assert len(problems) == said, problems


def test_ytt_takes_values_from_files_that_say_so(tmp_path):
    (tmp_path / 'app.yml').write_text(
        '#@ load("@ytt:data", "data")\n'
        'a: {image: {}}\n'
        'b:\n  image: #@ data.values.acr + "/b:" + data.values.b.tag\n'
        'c:\n  image: #@ "{}/c:{}".format(data.values.acr, "3")\n'
        'd:\n  image: #@ "{}/d:{}".format(data.values.acr, data.values.unknown)\n'
    )
    (tmp_path / 'settings.yml').write_text('#@data/values\n---\nacr: myreg.azurecr.io\nb: {tag: "2"}\n')
    pins, problems = pinned(tmp_path)
    assert pins == [('b', f'{tmp_path}/app.yml:4'), ('c', f'{tmp_path}/app.yml:6')]
    assert len(problems) == 1 and f'{tmp_path}/app.yml:8' in problems[0]


def test_files_with_more_words_than_fit_into_memory_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr('azext_acrprune.sources.pin_files._MOST_WORDS', 5)
    for name in ('a', 'b'):
        (tmp_path / f'{name}.yaml').write_text('runs: team/app\nbuild: 1.2.3\n')
    found, _ = read_files([str(tmp_path)], RegistryNames('myreg.azurecr.io'))
    assert [words.source for words in found.words] == [str(tmp_path / 'a.yaml')]
    assert [(each.source, each.code) for each in found.problems] == [(str(tmp_path / 'b.yaml'), 'pinsNotListed')]


def test_an_archive_is_told_in_a_folder_and_an_error_by_name(tmp_path):
    (tmp_path / 'values.yaml').write_text('image: myreg.azurecr.io/x:1\n')
    (tmp_path / 'charts').mkdir()
    chart = tmp_path / 'charts' / 'web-1.0.0.tgz'
    chart.write_bytes(gzip.compress(b'image: myreg.azurecr.io/web:1\n'))
    pins, problems = pinned(tmp_path)
    assert [name for name, _ in pins] == ['x'] and problems == [
        f'{chart}: it is an archive, and nothing in it was read'
    ]
    with pytest.raises(SourceError, match='names no image'):
        pinned(chart)


@pytest.mark.skipif(os.name == 'nt', reason='names of files are no bytes there')
def test_files_whose_names_are_shown_alike_are_all_read(tmp_path):
    for number, name in enumerate((b'caf\xe8.yaml', b'caf\xe9.yaml')):
        with open(os.fsencode(tmp_path) + b'/' + name, 'w') as file:
            file.write(f'image: myreg.azurecr.io/team/app:v{number}\n')
    deep = tmp_path / ('d' * 200) / ('e' * 200)
    deep.mkdir(parents=True)
    for number in (2, 3):
        (deep / f'{number}.yaml').write_text(f'image: myreg.azurecr.io/team/app:v{number}\n')
    found, files = read_files([str(tmp_path)], RegistryNames('myreg.azurecr.io'))
    assert {pin.reference.tag for pin in found.pins} == {'v0', 'v1', 'v2', 'v3'}
    assert sum(files.values()) == 4
