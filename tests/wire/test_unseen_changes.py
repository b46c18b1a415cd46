"""What changes between a look and a change, and what no list shows: each was a fault that somebody found once."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace

import pytest

from azext_acrprune.apply.held_locks import Held, HeldLocks, HeldOutcome, hold, release
from azext_acrprune.apply.pin_locks import LockOutcome, Marks, carry_out, marks_path
from azext_acrprune.archive.directory import DirectoryArchive
from azext_acrprune.archive.present import present
from azext_acrprune.archive.pure.choose import choose, is_asked_by
from azext_acrprune.archive.pure.lost import Lost, as_kept, by_node
from azext_acrprune.archive.stored import read_archive
from azext_acrprune.archive.undelete import what_is_kept
from azext_acrprune.decide.asked import Asked, parse_asked_image
from azext_acrprune.decide.claims import is_settling
from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.lock_plan import Mark, plan_locks
from azext_acrprune.decide.name_errors import NotWhole, Young
from azext_acrprune.decide.named import decide_images, decide_repository, decide_untag, parse_image
from azext_acrprune.decide.only_if import NotSo, decide_only_if
from azext_acrprune.decide.retention import with_retention
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.planned import decide_as_planned, read_plan
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.model import TICKS_PER_SECOND, UNLOCKED, Retention
from azext_acrprune.pins.pinned import Pins
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.patterns import glob
from azext_acrprune.policy.rules import Selection, Settling
from azext_acrprune.registry.endpoints import alone
from azext_acrprune.reporter import Silent
from tests.registry.builder import OCI_IMAGE, image_manifest, index_manifest
from tests.registry.faults import Fault
from tests.registry.records import digest_of, wire_time
from tests.wire.images import image_in
from tests.wire.plain import archive, execute, look_up, push, scan, undelete
from tests.wire.test_hidden import APP, NOW, OLD, decided, doomed, image, index, put
from tests.wire.test_replicas import cut, regions  # noqa: F401  # pylint: disable=unused-import

SIG = 'signatures'


@pytest.fixture
def client(connect):
    return connect()


def signs(digest):
    return digest.replace(':', '-') + '.sig'


def run(client, decision, **more):
    return execute(client, decision, 4, Silent(), client.clock, **more)


def only(*names, **more):
    return Extent(Selection(tuple(glob(name) for name in names)), tags=True, **more)


def ruled(client, policy, days=None):
    decision = decide(scan(client, 'localhost', Extent(policy.selection, tags=True), Silent()), policy, NOW)
    return decision if days is None else with_retention(decision, Retention(days))


def planned(decision):
    return json.dumps(plan_document(decision, '2026-11-01T00:00:00Z'))


def applied(client, text):
    plan = read_plan(text, 'localhost', NOW)
    extent = Extent(
        Selection((), (tuple(glob(name) for name in plan.repositories),)), tags=True, orphans=plan.has_orphans
    )
    return decide_as_planned(plan, scan(client, 'localhost', extent, Silent()))


def docker(storage, name, *tags):
    layer, config = storage.put_blob(name.encode()), storage.put_blob(b'c' + name.encode())
    return put(storage, image_manifest((config, len(name) + 1), [(layer, len(name))], docker=True), *tags)


def bare(storage, name):
    """(digest, bytes) of an image that is not pushed yet."""
    config = json.dumps({'name': name}).encode()
    data = image_manifest((storage.put_blob(config), len(config)), [], None)
    return digest_of(data), data


def lost(digest, *tags):
    return Lost(APP, digest, OCI_IMAGE, tuple((tag, UNLOCKED) for tag in tags), UNLOCKED)


def archived(client, target, decision, when='2026-01-01T00:00:00Z'):
    run(client, archive(client, target, decision, True, when, 8, Silent()).decision)


def restored(client, target, asked=None):
    found = read_archive(target, 'localhost', is_asked_by(asked) if asked else None)
    there = (
        client.loop.run(present(client.real, 'localhost', found, 4))
        if asked
        else scan(client, 'localhost', Extent(Selection()), Silent())
    )
    chosen = choose(found.records, found.kept, found.blobs, there, asked)
    return lambda: push(client, target, chosen, 8, Silent())


@pytest.mark.parametrize('by_plan', [True, False])
def test_a_tag_that_was_pushed_again_keeps_its_image(registry, client, by_plan):
    storage = registry.storage
    image(storage, 'stale', 'pr-1')
    image(storage, 'other', 'v1')
    decision = decided(client, match=('team/app:pr-*',), untagged=True)
    text = planned(decision)
    storage.tag(APP, 'pr-1').updated = '2026-12-01T18:00:00.1234567Z'
    run(client, applied(client, text) if by_plan else decision)
    assert 'pr-1' in storage.tags(APP)


def test_a_tag_that_was_pushed_again_is_not_removed(registry, client):
    storage = registry.storage
    image(storage, 'stale', 'pr-1')
    decision = decided(client, match=('team/app:pr-*',))
    storage.tag(APP, 'pr-1').updated = '2026-12-01T18:00:00.1234567Z'
    assert run(client, decision).skipped[0].reason == 'updated'


@pytest.mark.parametrize('flag', ['readEnabled', 'listEnabled'])
def test_one_image_back_leaves_the_flags_of_a_repository_in_use(registry, client, tmp_path, flag):
    storage, target = registry.storage, DirectoryArchive(str(tmp_path / 'archive'))
    image(storage, 'd', 'v1')
    inventory = scan(client, 'localhost', only(APP), Silent())
    flags = {'readEnabled': replace(UNLOCKED, read_enabled=False), 'listEnabled': replace(UNLOCKED, list_enabled=False)}
    inventory = replace(inventory, repositories=(replace(inventory.repositories[0], locks=flags[flag]),))
    archived(client, target, decide_images(inventory, [parse_image(f'{APP}:v1')]))
    image(storage, 'prod', 'prod')  # in use again, and shown
    restored(client, target, Asked((parse_asked_image(f'{APP}:v1'),)))()
    assert storage.state(APP).flags[flag] is True


@pytest.mark.parametrize('why', ['protected', 'keep', 'quarantined', 'young'])
def test_a_referrer_that_stays_keeps_the_last_tag_of_its_subject(registry, client, why):
    storage = registry.storage
    storage.retention.days = 0
    d = docker(storage, 'image', 'pr-1')
    r = image(storage, 'report', subject=d, updated=wire_time(time.time() - 600) if why == 'young' else OLD)
    if why == 'quarantined':
        storage.quarantine(APP, r, 'Failed')
    protect = f"protect: {{digests: ['{r}']}}" if why == 'protected' else ''
    kept = f'- {{name: reports, do: keep, match: {{mediaTypes: [{OCI_IMAGE}], tagged: false}}}}'
    rules = "- {name: prs, do: untag, match: {tags: ['pr-*']}, when: {olderThan: 1d}}"
    text = f'version: 1\n{protect}\nrules:\n{kept if why == "keep" else ""}\n{rules}\n'
    run(client, ruled(client, parse_policy(text, (), 'localhost', time.time()), days=0))
    assert r in storage.manifests(APP)


def test_a_referrer_that_is_new_since_the_plan_too(registry, client):
    storage = registry.storage
    storage.retention.days = 0
    d = docker(storage, 'image', 'pr-1')
    decision = ruled(client, policy_of(Flags(match=('team/app:pr-*',))), days=0)
    r = image(storage, 'signature', subject=d, updated=wire_time(time.time() - 10))
    run(client, decision)
    assert r in storage.manifests(APP)


@pytest.mark.parametrize('fault', [403, 405, 500, 'locked'])
def test_a_platform_image_keeps_its_tag_until_its_index_has_lost_its_own(registry, client, waits, fault):
    storage = registry.storage
    storage.retention.days = 0
    part = docker(storage, 'amd64', 'amd64-pr-1')
    put(storage, index_manifest([(part, 1)], docker=True), 'pr-1')
    decision = ruled(client, policy_of(Flags(match=('team/app:*',))), days=0)

    def lock(method, path):
        if method == 'DELETE':
            registry.on_request = None
            storage.set_locks(APP, tag='pr-1', deleteEnabled=False)

    if fault == 'locked':
        registry.on_request = lock
    else:
        registry.faults.rules.append(Fault('DELETE .*/_tags/pr-1', fault))
    run(client, decision)
    assert storage.whole(APP, 'pr-1') == []


@pytest.mark.parametrize('fault', [403, 500])
def test_a_platform_image_keeps_its_tag_until_its_index_is_deleted(registry, client, waits, fault):
    storage = registry.storage
    storage.retention.days = 0
    part = docker(storage, 'amd64', 'amd64-pr-1')
    put(storage, index_manifest([(part, 1)], docker=True), 'pr-1')
    text = """version: 1
rules:
- {name: parts, do: untag, match: {tags: ['amd64-*']}, when: {olderThan: 1d}}
- {name: images, do: delete, match: {tags: ['pr-*']}, when: {olderThan: 1d}}
"""
    decision = ruled(client, parse_policy(text, (), 'localhost', time.time()), days=0)
    registry.faults.rules.append(Fault('DELETE .*/manifests/.*', fault))
    run(client, decision)
    assert storage.whole(APP, 'pr-1') == []


@pytest.mark.parametrize('how', ['hidden', 'quarantined', 'second', 'race'])
def test_soft_delete_brings_nothing_back_over_a_tag_that_is_on_another(registry, client, how):
    storage = registry.storage
    storage.soft_delete_days = 7
    image(storage, 'other', 'x')
    tags, moved = (['v1', 'v2'], 'v2') if how == 'second' else (['v1'], 'v1')
    first, old = image(storage, 'first', 'v0'), image(storage, 'old', *tags)
    storage.delete_manifest(APP, first)
    storage.delete_manifest(APP, old)
    found = {}

    def pushed(*_):
        if not found:
            found['new'] = None
            found['new'] = image(storage, 'new', moved)

    if how == 'race':  # while another one is brought back
        registry.on_request = lambda method, path: pushed() if method == 'POST' and '_deleted' in path else None
    else:
        pushed()
        if how == 'quarantined':
            storage.quarantine(APP, found['new'], 'Quarantined')
        else:
            storage.hide(APP, tag=moved)
    undelete(client, [lost(first, 'v0'), lost(old, *tags)], {}, False, False)
    assert storage.tag(APP, moved).digest == found['new']


def test_soft_delete_sets_no_tag_by_itself_that_is_on_another(registry, client):
    storage = registry.storage
    storage.soft_delete_days = 7
    image(storage, 'other', 'x')
    for name in ('d1', 'd2'):
        storage.delete_manifest(APP, image(storage, name, 'v1'))
        time.sleep(0.02)
    live = image(storage, 'live', 'v1')
    found = [each for each, _ in as_kept(client.loop.run(what_is_kept(client.real, [APP], 4)), {})]
    undelete(client, found, by_node(found), False, False)
    assert storage.tag(APP, 'v1').digest == live


@pytest.mark.parametrize('how', ['by itself', 'race'])
def test_an_archive_brings_nothing_back_over_a_tag_that_is_on_another(registry, client, tmp_path, how):
    storage, target = registry.storage, DirectoryArchive(str(tmp_path / 'archive'))
    storage.soft_delete_days = 7
    image(storage, 'other', 'x')
    for name in ('d1', 'd2') if how == 'by itself' else ('d1',):
        image(storage, name, 'v1')
        archived(
            client,
            target,
            ruled(client, policy_of(Flags(match=('team/app:v1',), ago='0', untagged=True))),
            f'2026-01-0{name[1]}T00:00:00Z',
        )
    if how == 'by itself':
        live = image(storage, 'live', 'v1')
        restored(client, target)()
    else:
        work = restored(client, target)  # the question is asked, other images are pushed …
        live = image(storage, 'live', 'v1')
        work()
    assert storage.tag(APP, 'v1').digest == live


@pytest.mark.parametrize('number', range(4))
def test_what_not_all_regions_show_alike_stays_when_it_is_named_too(registry, regions, connect_regions, number):  # noqa: F811
    before = image_in(regions['local'], APP, f'before {number}', 'v1')
    after = image_in(regions['local'], APP, f'after {number}')
    cut(regions)
    record = regions['far'].manifest(APP, after)
    old = record.updated
    young = wire_time(time.time() - 300)
    regions['far'].put_manifest(APP, record.data, record.media_type, 'v1', checked=False, updated=young)
    regions['far'].manifest(APP, after).updated = old  # a tag moves no time of its manifest
    client, settling = connect_regions(), Settling(86_400, 'several regions')

    def unsettled(thing):
        return settling.text if is_settling(thing, settling, int(time.time() * TICKS_PER_SECOND)) else None

    inventory = scan(client, 'localhost', only(APP), Silent())
    with pytest.raises(Young):  # the sibling
        decide_untag(inventory, [parse_image(f'{APP}:v1')], unsettled=unsettled)
    run(client, decide_images(inventory, [parse_image(f'{APP}:v1')], unsettled=unsettled), door=alone(client.real))
    regions.settle()
    assert after in regions['far'].manifests(APP) and before in regions['local'].manifests(APP)


@pytest.mark.parametrize('selected', [(), (SIG,)])
@pytest.mark.parametrize('counted', [True, False])
@pytest.mark.parametrize('hides_tag', [True, False])
def test_the_signature_of_a_hidden_image_is_no_orphan(registry, client, counted, hides_tag, selected):
    storage = registry.storage
    registry.metadata.counts_hidden = counted
    subject = image(storage, 'subject', 'v1')
    image(storage, 'other', 'v2')
    image(storage, 'signature', signs(subject), repository=SIG)
    storage.hide(APP, digest=subject)
    storage.hide(APP, tag='v1') if hides_tag else None
    assert doomed(client, include=('orphans',), repository=selected) == set()


def test_the_signature_of_a_hidden_image_in_its_own_repository_is_no_orphan(registry, client):
    storage = registry.storage
    registry.metadata.counts_hidden = False
    subject = image(storage, 'subject', 'v1')
    image(storage, 'signature', signs(subject))
    storage.hide(APP, digest=subject)
    storage.hide(APP, tag='v1')
    assert doomed(client, include=('orphans',)) == set()


def test_a_condition_asks_for_hidden_subjects_too(registry, client):
    storage = registry.storage
    registry.metadata.counts_hidden = False
    subject = image(storage, 'subject', 'v1')
    image(storage, 'other', 'v2')
    signature = image(storage, 'signature', signs(subject), repository=SIG)
    storage.hide(APP, digest=subject)
    storage.hide(APP, tag='v1')
    with pytest.raises(NotSo):
        inventory = scan(client, 'localhost', only(SIG, orphans=True), Silent())
        decide_only_if(inventory, [parse_image(f'{SIG}@{signature}')], 'orphan', NOW)


def test_a_repository_that_the_catalog_names_and_that_answers_404(registry, client):
    storage = registry.storage
    image(storage, 'signature', signs(image(storage, 'subject', 'v1')), repository=SIG)
    unknown = b'{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}'
    registry.faults.rules.append(Fault(f'GET /acr/v1/{APP}/_manifests', 'proxy', status=404, body=unknown))
    assert doomed(client, include=('orphans',)) == set()


def test_the_subject_came_back_elsewhere_since_the_plan(registry, client):
    storage = registry.storage
    subject = image(storage, 'subject', 'v1')
    image(storage, 'other', 'v2')
    signature = image(storage, 'signature', signs(subject), repository=SIG)
    record = storage.manifest(APP, subject)
    storage.delete_manifest(APP, subject)
    text = planned(decided(client, include=('orphans',)))
    put(storage, record.data, 'v1')
    run(client, applied(client, text))
    assert signature in storage.manifests(SIG)


@pytest.mark.parametrize('how', ['include', 'apply', 'only-if'])
def test_a_partial_index_that_is_whole_now_stays(registry, client, how):
    storage = registry.storage
    digest, data = bare(storage, 'b')
    for number in range(2):
        image(storage, f'old {number}', updated='2020-01-01T00:00:00Z')
    broken = index(storage, [digest])
    if how == 'only-if':
        inventory = scan(client, 'localhost', only(APP), Silent())
        decision = decide_only_if(inventory, [parse_image(f'{APP}@{broken}')], 'partial', NOW)
    else:
        decision = decided(client, include=('partial',), keep=1)
    text = planned(decision) if how == 'apply' else None
    put(storage, data)
    run(client, applied(client, text) if text else decision)
    assert broken in storage.manifests(APP)


def test_a_release_leaves_locks_that_others_set_since(registry, client, tmp_path):
    storage, locks = registry.storage, HeldLocks(str(tmp_path), 'localhost')
    d = image(storage, 'back', 'v1')
    client.loop.run(hold(client.real, client.real, [Held(APP, d, 5)], locks, 4, HeldOutcome()))
    storage.set_locks(APP, digest=d, deleteEnabled=False, writeEnabled=False)  # its team locks it for good
    client.loop.run(release(client.real, client.real, locks.all(), locks, 4, HeldOutcome()))
    assert storage.manifest(APP, d).flags['deleteEnabled'] is False


def test_what_is_held_is_not_unlocked_by_an_old_mark_of_pins_lock(registry, client, tmp_path):
    storage, locks = registry.storage, HeldLocks(str(tmp_path), 'localhost')
    d, marks = image(storage, 'back', 'v1'), Marks(marks_path(str(tmp_path), 'localhost'))
    marks.add(Mark(APP, d, True))
    storage.set_locks(APP, digest=d, deleteEnabled=False)  # it came back with the lock that it had
    client.loop.run(hold(client.real, client.real, [Held(APP, d)], locks, 4, HeldOutcome(), marks.all()))
    held = {(each.repository, each.digest) for each in locks.all()}
    plan = plan_locks(Pins(), look_up(client, [(APP, d)], 4), marks.all(), {}, held)
    client.loop.run(carry_out(client.real, client.real, plan, marks, True, 4, LockOutcome()))
    assert storage.manifest(APP, d).flags['deleteEnabled'] is False


def test_a_restoration_does_not_lock_what_was_there(registry, client, tmp_path):
    storage, target = registry.storage, DirectoryArchive(str(tmp_path / 'archive'))
    image(storage, 'other', 'x')
    image(storage, 'd', 'v1')
    storage.set_locks(APP, tag='v1', readEnabled=False)
    archived(client, target, decide_images(scan(client, 'localhost', only(APP), Silent()), [parse_image(f'{APP}:v1')]))
    image(storage, 'd', 'v1')  # pushed again by its team, and runs
    restored(client, target)()
    assert storage.tag(APP, 'v1').flags['readEnabled'] is True


@pytest.mark.parametrize('fails', [True, False])
def test_a_lock_set_after_the_listing_is_not_taken_off(registry, client, waits, fails):
    storage = registry.storage
    d = image(storage, 'locked')
    storage.set_locks(APP, digest=d, deleteEnabled=False)
    decision = ruled(client, policy_of(Flags(include_locked=True)))

    def lock(method, path):
        if method == 'PATCH':
            registry.on_request = None
            storage.set_locks(APP, digest=d, writeEnabled=False)

    registry.on_request = lock
    registry.faults.rules += [Fault('DELETE', 501)] * fails
    run(client, decision)
    assert d in storage.manifests(APP) and storage.manifest(APP, d).flags['writeEnabled'] is False


def test_what_came_into_quarantine_since_the_plan_stays_when_it_is_applied(registry, client):
    storage = registry.storage
    d = image(storage, 'stale')
    image(storage, 'other', 'v1')
    text = planned(decided(client))
    storage.quarantine(APP, d, 'Failed')
    run(client, applied(client, text))
    assert d in storage.manifests(APP)


@pytest.mark.parametrize('retention', [None, 0])
def test_a_tag_whose_image_came_into_quarantine_since_the_plan_stays(registry, client, monkeypatch, retention):
    # it may be listed with its tag
    monkeypatch.setattr('tests.registry.metadata._shown_tags', lambda state: state.tags)
    storage = registry.storage
    storage.retention.days = retention
    docker(storage, 'image', 'pr-1')
    decision = ruled(client, policy_of(Flags(match=('team/app:pr-*',))), days=retention)
    storage.quarantine(APP, storage.tag(APP, 'pr-1').digest, 'Failed')
    run(client, decision)
    assert 'pr-1' in storage.tags(APP)


def test_a_hidden_index_is_looked_up_although_another_index_brings_it_along(registry, client):
    storage = registry.storage
    registry.metadata.counts_hidden = False
    for number in range(8):  # which of the two comes first, their digests say
        leaf = image(storage, f'leaf {number}')
        data = index_manifest([(leaf, 1)])
        hidden = put(storage, data)
        index(storage, [hidden], f'v{number}')
        document = json.loads(index_manifest([(hidden, len(data))]))
        document['manifests'][0]['data'] = base64.b64encode(data).decode()
        put(storage, json.dumps(document).encode())
        storage.hide(APP, digest=hidden)
    run(client, decided(client))
    assert [tag for tag in storage.tags(APP) if storage.whole(APP, tag)] == []


def test_a_quarantined_index_that_answers_404_is_no_ghost(registry, client):
    storage = registry.storage
    registry.metadata.counts_hidden = False
    child = image(storage, 'child')
    held = index(storage, [child], 'v1')
    storage.quarantine(APP, held, 'Failed')
    unknown = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
    registry.faults.rules.append(Fault(f'GET /v2/.*/manifests/{held}', 'proxy', status=404, body=unknown))
    assert doomed(client) == set()


@pytest.mark.parametrize('how', ['child', 'tag'])
def test_a_repository_with_something_hidden_is_not_deleted(registry, client, how):
    storage = registry.storage
    registry.metadata.counts_hidden = False
    hidden = image(storage, 'hidden', *(['stable'] if how == 'tag' else []))
    index(storage, [hidden], 'v1') if how == 'child' else image(storage, 'x', 'v1')
    storage.hide(APP, digest=hidden)
    with pytest.raises(NotWhole):
        decide_repository(scan(client, 'localhost', only(APP), Silent()), APP)
