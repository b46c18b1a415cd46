"""The summary and the metrics of runs, by the real az."""

from __future__ import annotations

import os
import re

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import OCI_IMAGE
from tests.registry.faults import Fault

from .images import Shelf

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
REPORT = ('--report-tag', 'acrprune/reports:nightly')


def metric(path, name):
    return float(re.search(rf'^acrprune_{name}\{{[^}}]*\}} (\S+)$', path.read_text(), re.M)[1])


def test_a_plan_a_deletion_and_a_failure_are_told_in_both_files(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    shelf.image('stays', 'v1', days=40)
    gone = shelf.image('goes', days=40)
    summary, metrics = tmp_path / 'summary.md', tmp_path / 'run.prom'
    files = ('--summary-file', str(summary), '--metrics-file', str(metrics))
    az(*PRUNE, 'plan', *TARGET, *files, '--out', str(tmp_path / 'plan.json'), check=True)
    assert f'--plan {tmp_path / "plan.json"}' in summary.read_text()
    assert (metric(metrics, 'deleted'), metric(metrics, 'exit_code')) == (0, 0)
    changes = az(*PRUNE, 'plan', *TARGET, '--metrics-file', str(metrics), '--detailed-exit-code')
    assert changes.code == metric(metrics, 'exit_code') == 2
    archive = ('--archive', str(tmp_path / 'archive'), '--new-archive')
    az(*PRUNE, 'untagged', *TARGET, *files, *archive, '--yes', check=True)
    assert metric(metrics, 'deleted') == 1 and metric(metrics, 'calls') > 3
    assert len(re.findall('^## ', summary.read_text(), re.M)) == 2, 'the summary is appended to'
    assert gone not in registry.storage.manifests('team/app')
    command = re.findall(r'^az (acr prune undo .+)$', summary.read_text(), re.M)[-1].split()
    az(*command, *ADMIN_LOGIN, '--yes', check=True)
    assert gone in registry.storage.manifests('team/app')
    missing = az(*PRUNE, 'apply', *TARGET, *files, *REPORT, '--plan', 'nowhere.json', '--yes')
    assert missing.code == metric(metrics, 'exit_code') == 1
    assert 'nowhere.json' in summary.read_text().split('\n## ')[-1]
    assert 'nightly' in registry.storage.tags('acrprune/reports'), 'a run that failed is reported too'
    assert metrics.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert sorted(path.name for path in tmp_path.iterdir() if 'prom' in path.name) == ['run.prom']


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_file_that_cannot_be_written_stops_a_run_before_it_deletes(az, registry, now, tmp_path):
    Shelf(registry.storage, now).image('goes', days=40)
    before = registry.storage.stored_bytes()
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--metrics-file', str(tmp_path / 'nowhere' / 'run.prom'))
    assert run.code == 1 and 'cannot be used' in run.err and registry.storage.stored_bytes() == before


def test_a_report_that_is_not_pushed_is_no_success(az, registry, now, tmp_path):
    gone = Shelf(registry.storage, now).image('goes', days=40)
    az(*PRUNE, 'plan', *TARGET, '--out', str(tmp_path / 'plan.json'), check=True)
    registry.faults.rules.append(Fault('PUT /v2/acrprune/reports/manifests/nightly', 403))
    run = az(*PRUNE, 'apply', *TARGET, *REPORT, '--plan', str(tmp_path / 'plan.json'), '--yes')
    assert gone not in registry.storage.manifests('team/app')
    assert run.code == 1 and run.json['exitReason'] == 'notWritten'
    assert 'needs the role AcrPush' in run.err


def test_only_the_report_before_goes_and_only_where_nothing_else_names_it(az, registry, now, tmp_path):
    storage, reports = registry.storage, Shelf(registry.storage, now, 'acrprune/reports')

    def report(reason: str) -> str:
        """The digest of a report that is unlike all others."""
        az(*PRUNE, 'apply', *TARGET, *REPORT, '--plan', f'{reason}.json', '--yes')
        return storage.tags('acrprune/reports')['nightly'].digest

    kept = {reports.image('somebody else', 'nightly')}
    tagged = report('tagged')
    reports.put(storage.manifest('acrprune/reports', tagged).data, OCI_IMAGE, 'incident')
    locked = report('locked')
    storage.manifests('acrprune/reports')[locked].flags['deleteEnabled'] = False
    goes = report('goes')
    kept |= {tagged, locked}
    assert storage.manifests('acrprune/reports').keys() == kept | {goes}
    last = report('last')
    assert storage.manifests('acrprune/reports').keys() == kept | {last}
    storage.set_locks('acrprune/reports', deleteEnabled=False)
    Shelf(storage, now).image('goes', days=40)
    az(*PRUNE, 'plan', *TARGET, '--out', str(tmp_path / 'plan.json'), check=True)
    az(*PRUNE, 'apply', *TARGET, *REPORT, '--plan', str(tmp_path / 'plan.json'), '--yes', check=True)
    assert last in storage.manifests('acrprune/reports')
    assert storage.tags('acrprune/reports')['incident'].digest == tagged
