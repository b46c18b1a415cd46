"""`az acr prune usage` in the real az, and what things cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.demo.images import Clock, push_everything
from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import DAY
from tests.registry.faults import Fault
from tests.registry.loganalytics import WORKSPACE, Event
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

from .images import Shelf, telling
from .terminal import at_a_terminal

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
MINE = ('-r', 'localhost')
KINDS = ('repository', 'image', 'layer', 'tag-pattern')


def usage(az, *options, target=TARGET):
    return az(*PRUNE, 'usage', *target, *options, check=True)


def table_at_a_terminal(az, *options, **terminal):
    """The table that `usage` shows, at a wide terminal."""
    quiet = ('-o', 'table', '--only-show-errors')
    shown = at_a_terminal(az, *PRUNE, 'usage', *TARGET, *options, *quiet, columns=300, **terminal)
    assert shown.code == 0, shown.text
    return shown.text


@pytest.mark.parametrize('by', KINDS)
def test_rows_add_up_to_what_the_registry_really_stores(az, registry, now, by):
    telling(registry.storage, now)
    document = usage(az, '--by', by, '--top', '2').json
    attributed = sum(
        row['attributedBytes'] for row in (*document['rows'], document['otherRows'] or {'attributedBytes': 0})
    )
    manifests = document['summary']['manifestBytes'] if by == 'layer' else 0
    assert attributed + manifests == document['summary']['registryBytes'] == registry.storage.stored_bytes()
    assert document['by'] == by and len(document['rows']) == 2


def test_empty_repositories_are_rows_too_and_users_are_named_once(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    base = shelf.layer('base ', 50_000)
    shelf.index([shelf.image(arch, base=base) for arch in ('amd64', 'arm64', 'arm')], tag='v1')
    registry.storage.make_empty('team/empty')
    row = usage(az).json['rows'][1]
    assert (row['repository'], row['manifests'], row['attributedBytes']) == ('team/empty', 0, 0)
    page = str(tmp_path / 'report.html')
    report = az(*PRUNE, 'report', *TARGET, '--out', page, check=True).json
    assert [row['repository'] for row in report['repositories']] == ['team/app', 'team/empty']
    layer = usage(az, '--by', 'layer', '--top', '1').json['rows'][0]
    assert (layer['images'], layer['users']) == (3, ['team/app:v1'])
    assert Path(page).read_text(encoding='utf-8').count('team/app:v1') and len(json.dumps(report, indent=2)) < 9_000


def test_by_repository_is_the_default_and_deletes_nothing(az, registry, now):
    telling(registry.storage, now)
    before = registry.storage.stored_bytes()
    document = usage(az).json
    assert (document['by'], [row['repository'] for row in document['rows']]) == (
        'repository',
        ['team/app', 'team/other'],
    )
    assert registry.storage.stored_bytes() == before
    assert not registry.counters['manifest_delete'] and not registry.counters['tag_delete']


def test_unique_bytes_of_a_repository_disappear_when_it_is_really_deleted(az_of, tmp_path):
    clock = Clock()
    with LocalRegistry(Storage(tmp_path / 'blobs', clock)) as registry:
        push_everything(registry, clock)
        az = az_of(registry)
        rows = {row['repository']: row for row in usage(az).json['rows']}
        for name in ('web/shop', 'jobs/report'):
            before = registry.storage.stored_bytes()
            az(*PRUNE, 'repository', *TARGET, '--repository', name, '--yes', check=True)
            assert before - registry.storage.stored_bytes() == rows[name]['uniqueBytes'] > 0


def test_a_base_layer_names_its_base_image(az, registry, now):
    base = Shelf(registry.storage, now, 'team/base')
    layer = base.layer('base ', 50_000)
    base.image('base', tag='v1', days=90)
    with_base = Shelf(registry.storage, now, 'team/apps')
    from tests.registry.builder import OCI_IMAGE, image_manifest

    base.put(image_manifest(base.layer('config ', 50), [layer]), OCI_IMAGE, 'v2', 80)
    for name in ('one', 'two'):
        with_base.image(name, tag=name, base=layer)
    row = usage(az, '--by', 'layer', '--top', '1').json['rows'][0]
    assert (row['size'], row['images'], row['repositories'], row['layersBelow'], row['baseImage']) == (
        50_000,
        3,
        2,
        0,
        'team/base:v2',
    )
    table = usage(az, '--by', 'layer', '--top', '1', '-o', 'table').out
    assert 'team/base:v2' in table.splitlines()[2]


# --- Bars --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('by', KINDS)
def test_a_table_is_plain_text_unless_a_terminal_shows_it(az, registry, now, by):
    telling(registry.storage, now)
    plain = usage(az, '--by', by, '-o', 'table').out
    assert plain.isascii() and 'BAR' not in plain and '100.0 %' in plain.splitlines()[-1]
    shown = table_at_a_terminal(az, '--by', by)
    assert ' BAR ' in shown.splitlines()[0] and '█' * 20 in shown.splitlines()[-1]


def test_a_terminal_that_has_no_blocks_shows_plain_bars(az, registry, now):
    telling(registry.storage, now)
    shown = table_at_a_terminal(az, encoding='ascii')
    assert '=' * 20 in shown.splitlines()[-1]


# --- What Azure says, and cost -----------------------------------------------------------------------------------


def test_what_azure_says_is_shown_beside_it(az, registry, now):
    telling(registry.storage, now)
    registry.storage.put_blob(b'u' * 5_000)
    az.signed_in()
    run = usage(az, target=MINE)
    account = run.json['account']
    stored = registry.storage.stored_bytes()
    assert account == {
        'sku': 'Standard',
        'usedBytes': stored + 5_000,
        'includedBytes': 100 * 1024**3,
        'limitBytes': 40 * 1024**4,
        'regions': 1,
        'accountedBytes': stored,
        'unaccountedBytes': 5_000,
        'unaccountedMayBe': ['uploads', 'unread', 'countedLater'],
        'why': None,
    }
    lines = [line for line in run.err.splitlines() if 'Azure says that' in line]
    assert len(lines) == 1 and '4.9 KiB are not accounted for' in lines[0]


def test_soft_deleted_images_are_part_of_the_real_bytes_and_the_bill_counts_each_replica(az, registry, now):
    telling(registry.storage, now)
    registry.storage.soft_delete_days = 7
    registry.storage.delete_repository('team/other')
    registry.manager.sku, registry.manager.replicas = 'Premium', ['eastus', 'westus']
    az.signed_in()
    document = usage(az, target=MINE).json
    account, stored = document['account'], registry.storage.stored_bytes()
    assert (account['usedBytes'], account['regions']) == (stored, 3)
    assert account['accountedBytes'] == document['summary']['registryBytes'] < stored
    assert document['cost']['usedBytes'] == 3 * stored
    assert account['unaccountedMayBe'] == ['softDeleted', 'uploads', 'unread', 'countedLater']


def test_after_a_run_usage_and_history_compare_the_promise_with_what_azure_says(az, registry, now):
    telling(registry.storage, now)
    az.signed_in()
    registry.manager.used_bytes = before = registry.storage.stored_bytes()
    result = az(*PRUNE, 'untagged', *MINE, '--yes', check=True).json
    run = usage(az, target=MINE)
    since, freed = run.json['sinceLastRun'], result['summary']['freedBytes']
    assert (since['run'], since['usedBytesBefore'], since['restBytes']) == (result['run'], before, freed)
    assert (
        'may be: what Azure counts with a delay, what was pushed or brought back since. The bill stops at once'
        in run.err
    )
    registry.manager.used_bytes = None
    run = usage(az, target=MINE)
    assert (run.json['sinceLastRun']['lessBytes'], run.json['sinceLastRun']['restMayBe']) == (freed, [])
    Shelf(registry.storage, now, 'team/more').image('more')
    az(*PRUNE, 'untagged', *MINE, '--yes', check=True)
    registry.manager.used_bytes = now_used = registry.storage.stored_bytes() + 7
    run = az(*PRUNE, 'history', 'list', check=True)
    later, first = run.json
    assert (first['freedBytes'], first['usedBytesBefore'], later['usedBytesAfter']) == (freed, before, now_used)
    assert first['usedBytesAfter'] == later['usedBytesBefore'] > before - freed
    assert (first['since'], later['since']['restBytes'], later['since']['usedBytesNow']) == (None, 7, now_used)
    assert (
        'The difference of 7 B may be: what Azure counts with a delay, what was pushed or brought back since.'
        in run.err
    )
    story = az(*PRUNE, 'history', 'show', check=True).json
    assert (story['since'], story['since']['until']) == (later['since'], None)
    story = az(*PRUNE, 'history', 'show', '--run', first['run'], check=True).json['since']
    assert (story['until'], story['lessBytes']) == (later['at'], before - first['usedBytesAfter'])
    table = az(*PRUNE, 'history', 'show', '-o', 'table', check=True).out
    assert 'its number went down by' in ' '.join(table.split())


@pytest.mark.parametrize('target', [MINE, TARGET])
@pytest.mark.parametrize('kind', [403, 500, 'garbage', 'truncated'])
def test_who_may_not_ask_azure_gets_all_the_rest_and_a_line_that_says_so(az, registry, now, kind, target):
    telling(registry.storage, now)
    if target is MINE:
        az.signed_in()
    registry.faults.rules.append(Fault('GET .*listUsages', kind))
    run = usage(az, '--price', '0.003 USD', target=target)
    assert run.json['account']['usedBytes'] is None
    assert run.json['account']['why'] in run.err and 'The real usage is not known: ' in run.err
    assert run.json['summary']['registryBytes'] == registry.storage.stored_bytes()
    assert 'Traceback' not in run.err


@pytest.mark.parametrize(
    'options, missing', [((), 'no price was given'), (('--price', '0.003'), 'the SKU of the registry is not known')]
)
def test_without_sku_or_price_no_cost_is_invented(az, registry, now, options, missing):
    telling(registry.storage, now)
    run = usage(az, *options)
    assert run.json['cost']['perMonth'] is None
    assert missing in run.json['cost']['why']
    assert (run.json['cost']['why'] in run.err) == bool(options), 'no price is nothing to warn of'


def big(registry, now):
    """20 GiB in a Basic registry, of which 4 GiB are untagged; only their sizes are there."""
    shelf = Shelf(registry.storage, now)
    from tests.registry.builder import OCI_IMAGE, image_manifest
    from tests.worlds import sha256

    for name, tag, gib in (('used', 'v1', 16), ('old', None, 4)):
        digest = sha256(name.encode())
        registry.storage.put_virtual_blob(digest, gib * 1024**3)
        shelf.put(image_manifest(shelf.layer(f'config of {name}', 100), [(digest, gib * 1024**3)]), OCI_IMAGE, tag)
    registry.manager.sku = 'Basic'


def test_a_plan_a_preview_and_a_report_say_what_is_saved_in_a_month(az, registry, now, tmp_path):
    big(registry, now)
    az.signed_in()
    priced = ('--price', '0.003 USD')
    out = str(tmp_path / 'plan.json')
    cost = az(*PRUNE, 'plan', *MINE, *priced, '--out', out, check=True).json['cost']
    assert (cost['perMonth'], cost['savedPerMonth'], cost['currency']) == ('0.9000', '0.3600', 'USD')
    assert (cost['usedBytesBy'], cost['includedBytes']) == ('showUsage', 10 * 1024**3)
    saves = 'That saves 0.36 USD in 30 days, at 0.003 USD for a GiB and day.'
    assert saves in az(*PRUNE, 'plan', *MINE, *priced, '-o', 'table', check=True).out
    assert saves in az(*PRUNE, 'plan', *MINE, *priced, '--group-by', 'repository', '-o', 'table', check=True).err
    page = tmp_path / 'report.html'
    report = az(*PRUNE, 'report', *MINE, *priced, '--plan', out, '--out', str(page), check=True).json
    assert report['cost'] == cost and report['account']['usedBytes'] == registry.storage.stored_bytes()
    assert saves in page.read_text()
    run = usage(az, *priced, target=MINE)
    assert run.json['cost']['perMonth'] == '0.9000' and '0.90 USD in 30 days' in run.err
    assert saves in az(*PRUNE, 'untagged', *MINE, *priced, '--yes', check=True).err


def test_the_same_registry_gives_the_same_plan_with_and_without_a_price(az, registry, now):
    big(registry, now)
    az.signed_in()
    for options in ((), ('--price', '0.003')):
        one, other = (az(*PRUNE, 'plan', *MINE, *options, check=True).json for _ in range(2))
        assert {**one, 'createdAt': 0} == {**other, 'createdAt': 0}
        assert ('cost' in one) == bool(options)


@pytest.mark.parametrize(
    'options, what',
    [
        (('--price', 'cheap'), '--price'),
        (('--price', '-1'), '--price'),
        (('--price', '1,5 EUR'), '--price'),
        (('--top', '-3'), '--top'),
        (('--top', 'many'), '--top'),
        (('--by', 'tag'), '--by'),
    ],
)
def test_bad_options_are_told_before_any_call(az, registry, options, what):
    refused = az(*PRUNE, 'usage', *TARGET, *options)
    assert refused.code != 0 and what in refused.err and 'Traceback' not in refused.err
    assert not registry.counters


# --- Pulls, failures, hostile answers ----------------------------------------------------------------------------


def test_the_last_pull_is_shown_as_far_as_the_log_knows_however_short_it_is(az, registry, now):
    images = telling(registry.storage, now)
    registry.logs.events = [Event(now - DAY, 'Pull', 'team/app', images.kept[0]), Event(now, 'Push', 'x')]
    az.signed_in()
    run = usage(az, '--workspace', WORKSPACE, target=MINE)
    assert 'without a hole since' in run.err
    pulled = {row['repository']: row['lastPulledTime'] for row in run.json['rows']}
    assert pulled['team/other'] is None and run.json['pulls']['logsSince'] == pulled['team/app'][:10]
    table = usage(az, '--workspace', WORKSPACE, '-o', 'table', target=MINE).out
    assert 'LAST_PULL' in table and ' 1d' in table


def test_a_workspace_without_any_event_says_so_and_is_no_error(az, registry, now):
    telling(registry.storage, now)
    az.signed_in()
    run = usage(az, '--workspace', WORKSPACE, target=MINE)
    assert run.json['pulls'] == {'workspace': WORKSPACE, 'logsSince': None}
    assert 'which has no event of this registry of late' in run.err


def test_a_log_that_cannot_be_asked_is_an_error(az, registry, now):
    telling(registry.storage, now)
    az.signed_in()
    registry.logs.status, registry.logs.body = 403, json.dumps({'error': {'message': 'No access'}}).encode()
    refused = az(*PRUNE, 'usage', *MINE, '--workspace', WORKSPACE)
    assert refused.code != 0 and 'No access' in refused.err and 'Traceback' not in refused.err
    assert refused.out == ''
    without_login = az(*PRUNE, 'usage', *TARGET, '--workspace', 'nowhere')
    assert without_login.code != 0 and 'Traceback' not in without_login.err


def test_what_could_not_be_read_is_the_exit_code_and_the_rest_is_told(az, registry, now):
    telling(registry.storage, now)
    Shelf(registry.storage, now, 'team/secret').image('secret', tag='v1')
    registry.faults.rules.append(Fault('GET .*team/secret/_manifests', 403))
    run = az(*PRUNE, 'usage', *TARGET)
    assert run.code == 1 and run.json['heldImpact'] == 'lowerBound' and 'team/secret' in run.err
    assert {row['repository'] for row in run.json['rows']} == {'team/app', 'team/other'}
    assert 'at most' in az(*PRUNE, 'usage', *TARGET, '-o', 'table').out


@pytest.mark.parametrize('by', KINDS)
def test_hostile_texts_reach_no_terminal(az, registry, now, by):
    from tests.registry.builder import OCI_IMAGE, image_manifest

    evil = '\x1b[2J\x1b]0;owned\x07\u202e\ud800' + 'long' * 100
    shelf = Shelf(registry.storage, now)
    data = json.loads(image_manifest(shelf.layer('config ', 10), [shelf.layer('layer ', 9_000)]))
    data['layers'].append({'digest': f'sha256:{evil}', 'size': 5_000_000})
    data['artifactType'] = evil
    shelf.put(json.dumps(data).encode(), OCI_IMAGE)
    shown = table_at_a_terminal(az, '--by', by)
    assert '\x1b' not in shown and '\u202e' not in shown and '\x07' not in shown
    assert all(len(line) < 400 for line in shown.splitlines())
    for form in ('json', 'yaml', 'tsv'):
        assert az(*PRUNE, 'usage', *TARGET, '--by', by, '-o', form).code == 0
