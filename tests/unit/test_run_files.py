"""The summary and the metrics of a run: texts that others read, and in which names of a registry do nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from azure.cli.core.azclierror import FileOperationError, ManualInterrupt, ResourceNotFoundError, ValidationError

from azext_acrprune.custom.options import RecordOptions, SignInOptions
from azext_acrprune.custom.recording import recorded
from azext_acrprune.show.ended_run import EndedRun
from azext_acrprune.show.markdown import cell, code
from azext_acrprune.show.run_metrics import metrics_text
from azext_acrprune.show.run_summary import summary_markdown

from .test_show import DIGEST, a_plan

HOSTILE = (
    'a|b`c`<img src=x> [l](http://x) ##vso[task.complete] ::set-output name=x::\n# head\r\x1b[31m\u202e"\\ $x$ &lt;'
)
PLAN = a_plan()
RUN = EndedRun('az acr prune plan', 'my', ('my',), PLAN, ended_at=1_700_000_000.5, seconds=2.25, calls=12, refused=3)
RESULT = {
    'run': '20260101T000000.000000Z-0a1b2c3d',
    'summary': {
        'manifestsDeleted': 1,
        'tagsDeleted': 0,
        'freedBytes': 2048,
        'impact': 'upperBound',
        'softDeleteRetentionDays': None,
        'goneBefore': 4,
        'skipped': 0,
        'failed': 1,
        'interrupted': False,
        'timeLimitReached': False,
    },
    'deleted': [{'repository': 'team/app', 'digest': DIGEST, 'tags': [], 'reason': 'untagged', 'because': 'x'}],
    'untagged': [],
    'skipped': [],
    'warnings': [{'code': 'x', 'repository': None, 'digest': None, 'message': 'It is still there.'}],
    'failed': [{'repository': 'team/app', 'digest': DIGEST, 'error': HOSTILE}],
}
DELETED = replace(RUN, command='az acr prune untagged', result=RESULT, exit_code=1)

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf'({NAME})\{{({LABEL}(?:,{LABEL})*)\}} (-?[0-9.]+)')


def samples(text):
    """{(name, labels): value}; every line has to be of the format, and each name is told once, before its samples."""
    found, told = {}, []
    assert text.endswith('\n')
    for line in text[:-1].split('\n'):
        comment = re.fullmatch(rf'# (HELP|TYPE) ({NAME}) (.+)', line)
        if comment:
            told.append(comment.groups()[:2])
            assert comment[1] == 'HELP' or comment[3] == 'gauge'
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2]))
        key = (sample[1], *(f'{name}={labels[name]}' for name in labels if name not in ('registry', 'command')))
        assert told[-1] == ('TYPE', sample[1]) and key not in found
        found[key] = float(sample[3])
    assert len(told) == len(set(told))
    return found


def test_metrics_say_what_the_plan_and_the_run_did():
    found = samples(metrics_text(DELETED))
    assert {
        ('acrprune_candidates', 'kind=manifest'): 1,
        ('acrprune_candidate_bytes', 'impact=exact'): 2048,
        ('acrprune_kept_manifests', 'reason=young'): 1,
        ('acrprune_deleted', 'kind=manifest'): 1,
        ('acrprune_freed_bytes', 'impact=upperBound'): 2048,
        ('acrprune_failed',): 1,
        ('acrprune_seconds',): 2.25,
        ('acrprune_calls',): 12,
        ('acrprune_calls_refused',): 3,
        ('acrprune_last_run_timestamp_seconds',): 1_700_000_000.5,
        ('acrprune_exit_code',): 1,
    }.items() <= found.items()


def test_a_run_that_failed_before_its_plan_claims_no_candidates():
    found = samples(metrics_text(replace(RUN, plan=None, error='no', exit_code=3)))
    assert found[('acrprune_exit_code',)] == 3 and ('acrprune_candidates', 'kind=manifest') not in found


def test_a_plan_has_deleted_nothing():
    found = samples(metrics_text(RUN))
    assert found[('acrprune_deleted', 'kind=manifest')] == found[('acrprune_freed_bytes', 'impact=exact')] == 0


@pytest.mark.parametrize('name', [HOSTILE, '"', '\\', 'a\\nb', '"} 1\nacrprune_exit_code{a="', '\ud800'])
def test_label_values_break_no_line(name):
    summary = {**PLAN['summary'], 'keptByReason': {name: 7}}
    text = metrics_text(replace(RUN, registry=name, plan=a_plan(summary=summary)))
    assert 7 in samples(text).values()
    text.encode()


def test_a_plan_says_what_how_much_why_where_and_the_command_that_carries_it_out():
    page = summary_markdown(replace(RUN, plan_file='my plan.json'))
    assert 'Would delete 1 manifest and 0 tags, and free 2.0 KiB. Nothing was deleted.' in page
    assert '| untagged | 1 |' in page and '| young | 1 | younger than the age asked for |' in page
    assert '| team/app | 1 | 2 | 0 | 2.0 KiB |' in page
    assert "```sh\naz acr prune apply -r my --plan 'my plan.json'\n```" in page


def test_what_goes_is_given_the_reasons_of_what_goes():
    entry = a_plan()['delete'][0]
    parts = [{**entry, 'reason': reason} for reason in ('childOf', 'referrerOf')]
    summary = {**PLAN['summary'], 'keptByReason': {'childOf': 3}}
    going, staying = summary_markdown(replace(RUN, plan=a_plan(delete=parts, summary=summary))).split('Why the rest')
    assert '| childOf | 1 | in an index that goes |' in going and 'that stays' not in going.split('Why it goes')[1]
    assert '| referrerOf | 1 | referring to a manifest that goes' in going
    assert '| childOf | 3 | in an index that stays |' in staying


def test_what_was_gone_before_has_a_row():
    assert '| gone before | 4 |' in summary_markdown(DELETED)


def test_a_dry_run_and_an_empty_plan_name_what_comes_next():
    assert 'without `--dry-run`' in summary_markdown(replace(RUN, command='az acr prune tags'))
    assert 'nothing to delete' in summary_markdown(replace(RUN, plan=a_plan(delete=[])))
    assert '--out plan.json' in summary_markdown(RUN)


@pytest.mark.parametrize('command', ["az acr prune undo -r my --archive '/mnt/a b' --run r", None])
def test_a_deletion_says_how_it_is_brought_back(command):
    page = summary_markdown(replace(DELETED, undo={'command': command, 'how': 'So it is.'}))
    assert (f'Bring it back. So it is.\n\n```sh\n{command}\n```' in page) is bool(command)
    assert 'So it is.' in page and 'Deleted 1 manifest and 0 tags; at most 2.0 KiB freed.' in page
    assert 'Run the same command again' in page and '- It is still there.' in page


def test_removed_tags_can_be_set_again_and_a_hostile_one_is_in_no_command():
    entry = {'repository': 'team/app', 'digest': DIGEST, 'tag': 'v1', 'reason': 'named', 'because': 'x'}
    untagged = [entry, {**entry, 'tag': HOSTILE}]
    page = summary_markdown(replace(DELETED, result={**RESULT, 'deleted': [], 'untagged': untagged}, archive='a'))
    said = f'\naz acr import -n my --source my.azurecr.io/team/app@{DIGEST} --image team/app:v1\n```'
    assert said in page and 'the first 1 of 2' in page and 'acr prune' not in page.split('What to do next')[1]


def test_what_a_plan_does_beside_deleting_is_told():
    page = summary_markdown(replace(RUN, plan=a_plan(delete=[], retire=[{}, {}], lock=[{}]), plan_file='p'))
    assert '| to be retired, so that pulls of them fail | 2 |' in page and '| to be locked | 1 |' in page
    assert 'apply -r my --plan p' in page


def recording(tmp_path, error):
    """The summary and the metrics of a run that an error ends."""
    options = RecordOptions(str(tmp_path / 'summary.md'), str(tmp_path / 'run.prom'))
    command = SimpleNamespace(name='acr prune untagged')
    with pytest.raises(type(error)), recorded(command, SignInOptions('my'), options) as record:
        record.plan = PLAN
        raise error
    return (tmp_path / 'summary.md').read_text(), samples((tmp_path / 'run.prom').read_text())


@pytest.mark.parametrize(
    'error, code, interrupted',
    [
        (KeyboardInterrupt(), 1, 1),
        (ManualInterrupt('Interrupted.'), 1, 1),
        (ResourceNotFoundError('There is no such registry.'), 3, 0),
        (ValidationError('No.', recommendation=['Do this.', 'Or that.']), 1, 0),
    ],
)
def test_a_run_that_an_error_ends_is_told_as_far_as_it_came(tmp_path, error, code, interrupted):
    page, found = recording(tmp_path, error)
    assert (found[('acrprune_exit_code',)], found[('acrprune_interrupted',)]) == (code, interrupted)
    assert found[('acrprune_candidates', 'kind=manifest')] == 1
    assert '**Failed: ' in page and (str(error) or 'interrupted') in page
    assert 'Do this. Or that.' in page or not getattr(error, 'recommendations', None)


def test_a_folder_that_takes_no_new_file_is_told_before_anything_is_done(tmp_path):
    options = RecordOptions(metrics_file='/proc/self/comm')
    with pytest.raises(FileOperationError), recorded(SimpleNamespace(name='x'), SignInOptions('my'), options):
        raise AssertionError('nothing is done')


def test_an_error_is_told_with_its_advice():
    page = summary_markdown(replace(RUN, plan=None, error='It is over.', advice='Begin anew.', exit_code=1))
    assert '**Failed: It is over.**' in page and 'Begin anew.' in page and 'az acr prune plan -r my' in page


def test_nothing_in_a_page_is_obeyed_by_a_pipeline_or_is_markup():
    warning = {'code': 'x', 'repository': HOSTILE, 'digest': None, 'message': HOSTILE}
    row = {**PLAN['repositories'][0], 'name': HOSTILE}
    plan = a_plan(warnings=[warning], repositories=[row])
    page = summary_markdown(replace(DELETED, plan=plan, error=cell(''), registry=HOSTILE))
    for sign in ('##vso[', '::set-output', '\x1b', '\u202e', '\r', '$x$'):
        assert sign not in page
    assert not re.search(r'(?<!\\)(?:<img|\]\(|`c)', page)
    assert all(
        line.startswith(('#', '|', '-', '**', 'az ', '```')) or line[:1].isupper() for line in page.split('\n') if line
    )
    assert all(
        len(re.findall(r'(?<!\\)(?:\\\\)*\|', line)) in (3, 4, 6) for line in page.split('\n') if line[:1] == '|'
    )


@pytest.mark.parametrize('show', [cell, code])
def test_a_cell_and_a_code_span_are_one_line_and_end_where_they_should(show):
    shown = show(HOSTILE)
    assert len(shown.splitlines()) == 1
    assert not re.search(r'(?<!\\)(?:\\\\)*\|', shown)
