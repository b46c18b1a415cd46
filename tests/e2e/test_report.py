"""`az acr prune report` in the real az."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.demo.images import Clock, push_everything
from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.faults import Fault
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

from .images import Shelf, telling

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


def report(az, tmp_path, *options) -> tuple:
    file = tmp_path / 'report.html'
    run = az(*PRUNE, 'report', *TARGET, '--out', str(file), *options, check=True)
    return run, file.read_text(encoding='utf-8')


def planned(az, tmp_path) -> Path:
    file = tmp_path / 'plan.json'
    az(*PRUNE, 'plan', *TARGET, '--show-kept', '--out', str(file), '-o', 'none', check=True)
    return file


def drawn(html: str) -> int:
    """The bytes of the cells of both treemaps, which have to be the same."""
    wide, narrow = (
        sum(map(int, re.findall(r'data-bytes="(\d+)"', part))) for part in html.split('<svg class="treemap ')[1:]
    )
    assert wide == narrow
    return wide


def test_report_shows_what_the_registry_really_stores_and_the_plan_frees(az_of, tmp_path):
    clock = Clock()
    with LocalRegistry(Storage(tmp_path / 'blobs', clock)) as registry:
        push_everything(registry, clock)
        az = az_of(registry)
        plan = planned(az, tmp_path)
        run, html = report(az, tmp_path, '--plan', str(plan))
        numbers = run.json
        assert drawn(html) == numbers['summary']['registryBytes'] == registry.storage.stored_bytes()
        promised = json.loads(plan.read_text())['summary']['freedBytes']
        assert numbers['summary']['freedBytes'] == promised
        az(*PRUNE, 'apply', *TARGET, '--plan', str(plan), '--yes', '--max-percent', '100', check=True)
        after, html = report(az, tmp_path)
        assert after.json['summary']['registryBytes'] == numbers['summary']['registryBytes'] - promised == drawn(html)


def test_without_a_plan_nothing_is_called_freed(az, registry, now, tmp_path):
    telling(registry.storage, now)
    run, html = report(az, tmp_path)
    assert run.json['plan'] is None
    assert 'Freed by the plan' not in html
    assert f'The report is in {tmp_path}' in run.err


def test_the_table_is_by_repository(az, registry, now, tmp_path):
    telling(registry.storage, now)
    run, _ = report(az, tmp_path, '-o', 'table')
    heading, _, *rows = run.out.splitlines()
    assert heading.split() == ['REPOSITORY', 'MANIFESTS', 'UNTAGGED', 'SHARE', 'FREED']
    assert [row.split()[0] for row in rows] == ['team/app', 'team/other', 'total']


def test_a_plan_of_any_age_will_do_but_not_one_that_was_edited(az, registry, now, tmp_path):
    telling(registry.storage, now)
    plan = planned(az, tmp_path)
    report(az, tmp_path, '--plan', str(plan))
    plan.write_text(plan.read_text().replace('"untagged"', '"tagged"'))
    refused = az(*PRUNE, 'report', *TARGET, '--out', str(tmp_path / 'no.html'), '--plan', str(plan))
    assert refused.code != 0 and 'checksum' in refused.err and 'Traceback' not in refused.err
    assert not (tmp_path / 'no.html').exists()


@pytest.mark.parametrize(
    'options, what',
    [
        (('--out', '/nowhere/report.html'), '/nowhere/report.html'),
        (('--out', 'r.html', '--plan', '/nowhere.json'), '/nowhere.json'),
        ((), '--out'),
    ],
)
def test_bad_files_are_told_before_any_scan(az, registry, options, what, tmp_path):
    options = tuple(str(tmp_path / 'r.html') if option == 'r.html' else option for option in options)
    refused = az(*PRUNE, 'report', *TARGET, *options)
    assert refused.code != 0 and what in refused.err and 'Traceback' not in refused.err
    assert not registry.counters


def test_what_could_not_be_read_is_a_warning_in_the_report_and_the_exit_code(az, registry, now, tmp_path):
    telling(registry.storage, now)
    Shelf(registry.storage, now, 'team/secret').image('secret', tag='v1')
    registry.faults.rules.append(Fault('GET .*team/secret/_manifests', 403))
    file = tmp_path / 'report.html'
    run = az(*PRUNE, 'report', *TARGET, '--out', str(file))
    assert run.code == 1 and run.json['impact'] == 'upperBound'
    assert 'team/secret' in file.read_text()


def test_hostile_tags_and_types_show_as_text(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    shelf.image('evil', tag='v1', artifact_type='</title><script>alert(1)</script>')
    _, html = report(az, tmp_path)
    assert '&lt;script&gt;alert(1)' in html and '<script>alert' not in html
