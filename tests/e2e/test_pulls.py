"""Last pulls, as a Log Analytics workspace tells them, in the real az."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from tests.registry.builder import DAY
from tests.registry.faults import Fault
from tests.registry.loganalytics import WORKSPACE, Event

from .images import Shelf

PRUNE = ('acr', 'prune')
WITHIN = ('-r', 'localhost', '--pulled-within', '90d', '--workspace', WORKSPACE)
WORKSPACES = '/providers/Microsoft.OperationalInsights/workspaces'


@pytest.fixture
def shelf(registry, now):
    return Shelf(registry.storage, now)


@pytest.fixture
def log(registry, now):
    """A year in which something was logged every day, and nothing of interest; call it to log a pull."""
    registry.logs.events = [Event(now - days * DAY, 'Pull', 'other', f'sha256:{"0" * 64}') for days in range(366)]

    def event(days, **more):
        registry.logs.events.append(Event(now - days * DAY, **{'repository': 'team/app', **more}))

    return event


@pytest.fixture
def az(az):
    az.signed_in()
    return az


def present(registry, repository='team/app'):
    return set(registry.storage.state(repository).manifests) if registry.storage.repositories() else set()


def day(now, days):
    return datetime.fromtimestamp(now - days * DAY, timezone.utc).strftime('%Y-%m-%d')


def test_what_was_pulled_stays_with_all_that_it_needs_and_the_plan_says_when(az, registry, shelf, log, now):
    parts = [shelf.image(f'part {arch}', days=200) for arch in ('amd64', 'arm64')]
    index = shelf.index(parts, days=200)
    of_other = [shelf.image(f'other {arch}', days=200) for arch in ('amd64', 'arm64')]
    other = shelf.index(of_other, days=200)
    never, long_ago = shelf.image('never', days=200), shelf.image('long ago', days=300)
    log(20, digest=index)
    log(80, digest=of_other[0])
    log(100, digest=long_ago)
    plan = az(*PRUNE, 'plan', *WITHIN, '--show-kept', check=True).json
    kept = {entry['digest']: (entry['reason'], entry['because']) for entry in plan['kept']}
    assert kept == {
        index: ('pinned', f'pulled {day(now, 20)} (Log Analytics)'),
        parts[0]: ('childOf', index),
        parts[1]: ('childOf', index),
        of_other[0]: ('pinned', f'pulled {day(now, 80)} (Log Analytics)'),
    }
    pulled = {
        entry['digest']: entry['lastPulledTime'][:10]
        for entry in (*plan['kept'], *plan['delete'])
        if 'lastPulledTime' in entry
    }
    assert pulled == {index: day(now, 20), of_other[0]: day(now, 80), long_ago: day(now, 100)}
    assert plan['policy']['lastPulled'] == {'within': '90d', 'workspace': WORKSPACE, 'logsSince': day(now, 365)}
    az(*PRUNE, 'untagged', *WITHIN, '--yes', check=True)
    assert present(registry) == set(kept)
    assert not {never, other, of_other[1], long_ago} & present(registry)


def test_a_tag_stays_when_it_or_its_image_or_a_part_of_that_was_pulled(az, registry, shelf, log):
    by_name, by_digest = shelf.image('a', tag='name', days=100), shelf.image('b', tag='digest', days=100)
    part = shelf.image('part', days=100)
    shelf.index([part], tag='index', days=100)
    shelf.image('c', tag='unused', days=100)
    log(100, operation='Push', digest=by_name, tag='name')
    log(3, tag='name')
    log(3, digest=by_digest)
    log(3, digest=part)
    az(*PRUNE, 'tags', *WITHIN, '--match', 'team/app:*', '--yes', check=True)
    assert set(registry.storage.tags('team/app')) == {'name', 'digest', 'index'}


def test_a_pull_by_a_tag_that_moved_pins_what_the_tag_pointed_to(az, registry, shelf, log):
    before, then, now_tagged = (
        shelf.image(name, tag='latest', days=days) for name, days in (('x', 150), ('y', 100), ('z', 50))
    )
    for digest, days in ((before, 150), (then, 100), (now_tagged, 50)):
        log(days, operation='Push', tag='latest', digest=digest)
    log(140, tag='latest')
    log(60, tag='latest')
    az(*PRUNE, 'untagged', *WITHIN, '--yes', check=True)
    assert present(registry) == {then, now_tagged}


def test_when_nobody_knows_what_a_tag_pointed_to_everything_that_it_may_have_been_stays(az, registry, shelf, log):
    one, two = shelf.image('one', days=100), shelf.image('two', days=70)
    younger = shelf.image('younger', days=20)
    log(60, tag='gone')
    plan = az(*PRUNE, 'plan', *WITHIN, '--show-kept', check=True).json
    kept = {entry['digest']: entry['because'] for entry in plan['kept']}
    assert set(kept) == {one, two} and all(because.startswith("perhaps as 'gone' pulled") for because in kept.values())
    assert [entry['digest'] for entry in plan['delete']] == [younger]


def test_our_own_reads_of_manifests_are_no_pulls(az, registry, shelf, log):
    digest = shelf.image('one', days=100)
    az(*PRUNE, 'plan', *WITHIN, check=True)
    assert registry.user_agents
    for agent in registry.user_agents:
        log(0, digest=digest, agent=agent)
    az(*PRUNE, 'untagged', *WITHIN, '--yes', check=True)
    assert present(registry) == set()


def refused(az, registry, *words, command=('untagged', '--yes'), within=WITHIN):
    before = present(registry)
    run = az(*PRUNE, *command, *within)
    assert run.code != 0 and run.out == '' and 'Traceback' not in run.err, run.err
    assert 'Nothing was deleted' in run.err
    for word in words:
        assert word in run.err, run.err
    assert present(registry) == before and registry.counters['manifest_delete'] == 0


def test_logs_that_do_not_cover_the_time_are_refused_with_the_date_from_which_they_would(az, registry, shelf, now):
    shelf.image('one', days=200)
    registry.logs.events = [Event(now - days * DAY, 'Push', 'other') for days in range(50)]
    refused(az, registry, f'since {day(now, 49)}', f'works from {day(now, 49 - 91)} on')
    az(*PRUNE, 'untagged', *WITHIN[:2], '--pulled-within', '45d', *WITHIN[4:], '--yes', check=True)
    assert present(registry) == set()


def test_a_hole_in_the_logs_is_time_that_they_do_not_cover(az, registry, shelf, log, now):
    shelf.image('one', days=200)
    registry.logs.events = [event for event in registry.logs.events if not 40.5 < (now - event.at) / DAY < 49.5]
    refused(az, registry, f'since {day(now, 40)}')


def test_logs_that_ended_or_never_began_are_refused(az, registry, shelf, log, now):
    shelf.image('one', days=200)
    registry.logs.events = [event for event in registry.logs.events if now - event.at > 8 * DAY]
    refused(az, registry, 'no event of this registry in the last 7 days', 'diagnostic-settings')
    registry.logs.events = [Event(now - days * DAY, server='elsewhere.azurecr.io') for days in range(366)]
    refused(az, registry, 'no event of this registry')
    registry.logs.has_table = False
    refused(az, registry, 'Failed to resolve table', 'ContainerRegistryRepositoryEvents')


@pytest.mark.parametrize(
    'status,body,words',
    [
        (
            403,
            {'error': {'code': 'InsufficientAccessError', 'message': 'The credentials have insufficient access'}},
            ('insufficient access', 'Log Analytics Reader'),
        ),
        (500, {}, ('500',)),
        (429, {'error': {'code': 'ThrottledError', 'message': 'Rate limit is exceeded'}}, ('429', 'try again later')),
        (200, {'tables': []}, ('not a table',)),
        (
            200,
            {'tables': [{'name': 'PrimaryResult', 'columns': [{'name': 'a', 'type': 'string'}], 'rows': [['x', 'y']]}]},
            ('not one of the query API',),
        ),
        (
            200,
            {
                'tables': [
                    {
                        'name': 'PrimaryResult',
                        'rows': [['2026', 'x']],
                        'columns': [{'name': 'First', 'type': 'string'}, {'name': 'Last', 'type': 'string'}],
                    }
                ]
            },
            ("'2026' is no time",),
        ),
        (200, ['no object'], ('not one of the query API',)),
        (200, None, ('not one of the query API',)),
        (200, b'[' * 200_000, ('not one of the query API',)),
        (403, b'[' * 200_000, ('not one of the query API',)),
    ],
)
def test_a_query_that_fails_deletes_nothing(az, registry, shelf, log, status, body, words):
    shelf.image('one', days=200)
    said = body if isinstance(body, bytes) else b'' if body is None else json.dumps(body).encode()
    registry.logs.status, registry.logs.body = status, said
    refused(az, registry, *words)


@pytest.mark.parametrize('kind', ['truncated', 'cut', 'reset', 504])
def test_a_workspace_that_breaks_off_deletes_nothing(az, registry, shelf, log, kind):
    shelf.image('one', days=200)
    registry.faults.rules.append(Fault('POST /v1/workspaces', kind))
    refused(az, registry)


def test_an_answer_that_is_not_whole_is_asked_for_in_halves(az, registry, shelf, log):
    images = [shelf.image(f'image {number}', days=200) for number in range(12)]
    for number, digest in enumerate(images[:10]):
        log(number * 8 + 1, digest=digest)
    registry.logs.most_rows = 366
    registry.logs.events = [event for event in registry.logs.events if event.repository != 'other'] + [
        Event(event.at, 'Pull', 'other', '', 'x') for event in registry.logs.events if event.repository == 'other'
    ]
    az(*PRUNE, 'untagged', *WITHIN, '--yes', check=True)
    assert present(registry) == set(images[:10])
    assert len([query for query in registry.logs.queries if "'pull'" in query['query']]) == 3


def test_an_answer_that_is_never_whole_deletes_nothing(az, registry, shelf, log, now):
    shelf.image('one', days=200)
    registry.logs.most_rows = 400
    registry.logs.events += [Event(now - 5, 'Pull', 'team/app', f'sha256:{number:064}') for number in range(500)]
    refused(az, registry, '64000000 bytes', 'even for')


def test_a_workspace_is_found_by_its_name_or_its_resource_id(az, registry, shelf, log):
    digest = shelf.image('one', days=200)
    shelf.image('two', days=200)
    log(3, digest=digest)
    base = '/resourceGroups/local/providers/Microsoft.OperationalInsights/workspaces/'
    spaces = [
        {'name': name, 'properties': {'customerId': guid}}
        for name, guid in (
            ('first', WORKSPACE.replace('4', '5')),
            ('second', WORKSPACE.replace('4', '6')),
            ('Logs', WORKSPACE),
        )
    ]
    registry.resources.at = {WORKSPACES: spaces, f'{base}logs': spaces[2]}
    policy = az.home / 'policy.yaml'
    policy.write_text(
        'version: 1\nrules:\n- {name: old, match: {everything: true}, when: {olderThan: 1d}, do: delete}\n'
        'protect: {lastPulled: {within: 90d, workspace: logs}}\n'
    )
    plan = az(*PRUNE, 'plan', '-r', 'localhost', '--policy', str(policy), check=True).json
    assert plan['summary']['manifestsToDelete'] == 1
    refused(az, registry, "'missing'", 'none of this name', within=(*WITHIN[:5], 'missing'))
    resource_id = f'/subscriptions/33333333-3333-3333-3333-333333333333{base}logs'
    az(*PRUNE, 'untagged', *WITHIN[:5], resource_id, '--yes', check=True)
    assert present(registry) == {digest}


def test_the_options_are_checked(az, registry, shelf):
    shelf.image('one', days=200)
    for options, word in (
        (('--pulled-within', '0'), 'twelve years'),
        (('--pulled-within', '99999999999d'), 'twelve'),
        (('--pulled-within', 'often'), 'not a duration'),
        (('--pulled-within', '3d'), '--workspace'),
    ):
        run = az(*PRUNE, 'plan', '-r', 'localhost', *options)
        assert run.code != 0 and word in run.err and 'Traceback' not in run.err, run.err


RULE = """version: 1
facts:
  pulls:
    workspace: {workspace}
    ignore: {{identities: [scanner@contoso.com], userAgents: [trivy]}}
rules:
- {{name: unused, match: {{everything: true}}, when: {{olderThan: 1d, notPulledFor: {days}d}}, do: delete}}
"""


@pytest.mark.parametrize(
    'days, reasons', [(90, ['notDue']), (400, ['unknown', 'notDue', 'unknown', 'unknown', 'notDue'])]
)
def test_a_rule_asks_for_pulls_and_a_log_that_is_too_short_keeps_and_ends_nothing(
    az, registry, shelf, log, tmp_path, days, reasons
):
    images = [shelf.image(name, days=500) for name in ('never', 'used', 'scanned', 'by trivy', 'long ago')]
    log(20, digest=images[1])
    log(2, digest=images[2], identity='Scanner@contoso.com')
    log(2, digest=images[3], agent='Trivy/0.50')
    log(200, digest=images[4])
    (tmp_path / 'policy.yaml').write_text(RULE.format(workspace=WORKSPACE, days=days))
    plan = az(
        *PRUNE, 'plan', '-r', 'localhost', '--policy', str(tmp_path / 'policy.yaml'), '--show-kept', check=True
    ).json
    kept = {entry['digest']: entry for entry in plan['kept']}
    assert [kept[digest]['reason'] for digest in images if digest in kept] == reasons
    assert plan['policy']['pulls']['workspace'] == WORKSPACE
    if days == 400:
        assert 'the log of pulls covers 365 days of 400d' in kept[images[0]]['because']


def test_a_rule_that_asks_for_pulls_needs_a_log(az, registry, shelf, tmp_path):
    (tmp_path / 'policy.yaml').write_text(RULE.format(workspace='x', days=9).replace('    workspace: x\n', ''))
    run = az(*PRUNE, 'plan', '-r', 'localhost', '--policy', str(tmp_path / 'policy.yaml'))
    assert run.code != 0 and '--workspace' in run.err and 'Traceback' not in run.err
