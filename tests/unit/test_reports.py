"""Reports that refer to an image: `keep: {perSubject: ...}` lets the older ones go while the image stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_acrprune.decide.claims import Place
from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.drift import check_drift
from azext_acrprune.decide.graph import build_graph
from azext_acrprune.decide.reports import reports_in
from azext_acrprune.documents.policy_tests import tests_document as outcome_of
from azext_acrprune.model import Locks
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.references import Reference
from azext_acrprune.policy.cases import parse_cases
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.parsing import PolicyError
from azext_acrprune.policy.patterns import glob
from azext_acrprune.policy.rules import Protection, RuleScope, Settling
from tests import worlds

APP = 'team/app'
POLICY = """version: 1
rules:
- name: scans
  match: {artifactTypes: [scan]}
  when: {olderThan: 7d}
  keep: {perSubject: {newest: 2}OF}
  do: delete
- name: releases
  match: {tags: ['v*']}
  do: keep
- name: rest
  match: {everything: true}
  when: {olderThan: 90d}
  do: delete
"""
TESTS = """tests:
- name: scans
  images:
  - {image: 'app:v1', age: 400d, platforms: [linux/amd64]}
  - {image: 'app:v2', age: 400d}
  - {image: 'app:b1', age: 400d}
  - {image: app, id: s1, subject: 'app:v1', artifactType: scan, age: 30d}
  - {image: app, id: s2, subject: 'app:v1', artifactType: scan, age: 20d}
  - {image: app, id: s3, subject: 'app:v1', artifactType: scan, age: 10d}
  - {image: app, id: s4, subject: 'app:v1', artifactType: scan, age: 1d}
  - {image: app, id: sig, subject: 'app:v1', artifactType: signature, age: 300d}
  - {image: app, id: sig of s1, subject: s1, artifactType: signature, age: 30d}
  - {image: app, id: other, subject: 'app:v2', artifactType: scan, age: 300d}
  - {image: app, id: of b1, subject: 'app:b1', artifactType: scan, age: 1d}
  - {image: app, id: bare, artifactType: scan, age: 300d}
  - {image: 'app:t', artifactType: scan, age: 300d}
"""


@pytest.mark.parametrize(
    'of, expected',
    [
        (
            '',
            "  go: {s1: scans, sig of s1: scans, 'app:b1': rest, of b1: rest}\n"
            "  stay: [s2, s3, s4, sig, other, bare, 'app:t', 'app:v1', 'app:v2']\n",
        ),
        (', of: all', '  go: {s1: scans, s2: scans}\n  stay: [s3, s4, sig, other]\n'),
    ],
)
def test_of_each_image_the_newest_reports_stay_and_what_goes_takes_its_signature_along(of, expected):
    policy = parse_policy(POLICY.replace('OF', of))
    (test,) = outcome_of(policy, parse_cases(TESTS + expected).tests)['tests']
    assert test['failures'] == []


ARTIFACTS = f'mediaTypes: [{worlds.OCI_ARTIFACT}]'


def world(locked=None):
    image = worlds.image('app', [1], tags=['v1'], age=400 * worlds.DAY)
    scans = [
        worlds.artifact(f'scan {days}', subject=image['digest'], age=days * worlds.DAY) for days in (40, 30, 20, 10)
    ]
    inventory = worlds.to_inventory([worlds.repository_of(image, *scans, name=APP)])
    digests = [each['digest'] for each in scans]
    (repository,) = inventory.repositories
    if locked is not None:
        one = repository.manifests[digests[locked]]._replace(locks=Locks(delete_enabled=False))
        repository = replace(repository, manifests={**repository.manifests, one.digest: one})
    return replace(inventory, repositories=(repository,)), digests


def policy_of(**more):
    return replace(parse_policy(POLICY.replace('OF', '').replace('artifactTypes: [scan]', ARTIFACTS)), **more)


def test_what_is_locked_or_pinned_stays_and_takes_no_place():
    for locked, gone in ((0, 1), (3, 0)):
        inventory, scans = world(locked)
        assert decide(inventory, policy_of(), worlds.NOW).doomed == {(APP, scans[gone])}
    inventory, scans = world()
    pins = Pins((Pin(Reference(APP, digest=scans[3]), 'somebody'),))
    assert decide(inventory, policy_of(pins=pins), worlds.NOW).doomed == {(APP, scans[0])}


def test_a_report_on_an_image_that_is_not_there_has_no_rank_and_stays():
    lost = worlds.artifact('lost', subject=worlds.MISSING[0], age=400 * worlds.DAY)
    inventory = worlds.to_inventory([worlds.repository_of(lost, name=APP)])
    verdict = decide(inventory, policy_of(), worlds.NOW).verdicts[APP][lost['digest']]
    assert (verdict.kept, verdict.reason, verdict.rule) == (True, 'unranked', 'scans')
    assert 'what it refers to is not there' in verdict.because
    unranked = parse_policy(
        POLICY.replace('artifactTypes: [scan]', ARTIFACTS).replace('keep: {perSubject: {newest: 2}OF}', '')
    )
    assert decide(inventory, unranked, worlds.NOW).doomed == {(APP, lost['digest'])}


def test_a_report_that_refers_to_nothing_says_so_and_stays():
    bare = worlds.artifact('bare', age=400 * worlds.DAY)
    inventory = worlds.to_inventory([worlds.repository_of(bare, name=APP)])
    verdict = decide(inventory, policy_of(), worlds.NOW).verdicts[APP][bare['digest']]
    assert (verdict.kept, verdict.reason) == (True, 'unranked')
    assert 'it refers to nothing' in verdict.because


def with_more(inventory, *manifests):
    (repository,) = inventory.repositories
    more = worlds.to_repository(worlds.repository_of(*manifests, name=APP))
    both = {**repository.manifests, **more.manifests}
    repository = replace(repository, manifests=both, tags={**repository.tags, **more.tags})
    return replace(inventory, repositories=(repository,))


@pytest.mark.parametrize('why, gone', [('tag', 1), ('quarantine', 1), ('settling', 1), (None, 2)])
def test_a_report_takes_no_place_that_stays_for_its_quarantine_its_youth_or_the_tag_of_what_refers_to_it(why, gone):
    inventory, scans = world()
    tags = ['mine'] if why == 'tag' else []
    signature = worlds.artifact('signature', subject=scans[3], tags=tags, age=400 * worlds.DAY)
    inventory = with_more(inventory, signature)
    (repository,) = inventory.repositories
    newest = repository.manifests[scans[3]]._replace(quarantine='Failed' if why == 'quarantine' else None)
    repository = replace(repository, manifests={**repository.manifests, newest.digest: newest})
    policy = policy_of(settling=Settling(15 * worlds.DAY, 'several regions') if why == 'settling' else None)
    decision = decide(replace(inventory, repositories=(repository,)), policy, worlds.NOW)
    assert decision.doomed == {(APP, digest) for digest in scans[:gone]}


def test_a_report_that_is_a_part_of_an_index_takes_no_place():
    inventory, scans = world()
    whole = worlds.index('reports', [scans[3]], tags=['v2'], age=400 * worlds.DAY)
    assert decide(with_more(inventory, whole), policy_of(), worlds.NOW).doomed == {(APP, scans[0])}


def test_a_report_on_two_images_is_counted_with_neither_and_stays_with_them():
    day = worlds.DAY
    one, other = (worlds.image(tag, [1], tags=[tag], age=400 * day) for tag in ('v1', 'v2'))
    scans = [worlds.artifact(f'scan {days}', subject=one['digest'], age=days * day) for days in (40, 30, 20)]
    both = [
        worlds.artifact(
            f'both {days}',
            subject=one['digest'],
            tags=[worlds.attachment_tag(other['digest'], f'.d{days}')],
            age=days * day,
        )
        for days in (50, 8)
    ]
    inventory = worlds.to_inventory([worlds.repository_of(one, other, *scans, *both, name=APP)])
    decision = decide(inventory, policy_of(), worlds.NOW)
    assert decision.doomed == {(APP, scans[0]['digest'])}
    assert {decision.verdicts[APP][each['digest']].reason for each in both} == {'referrerOf'}


def test_where_the_image_goes_its_reports_go_with_it_and_none_for_a_newer_one():
    image = worlds.image('app', [1], tags=['b1'], age=400 * worlds.DAY)
    scans = [worlds.artifact(f'scan {days}', subject=image['digest'], age=days * worlds.DAY) for days in (40, 30, 20)]
    inventory = worlds.to_inventory([worlds.repository_of(image, *scans, name=APP)])
    decision = decide(inventory, policy_of(), worlds.NOW)
    assert decision.doomed_in(APP) == {each['digest'] for each in (image, *scans)}
    assert decision.superseded_in(APP) == set()


@pytest.mark.parametrize('name, going', [(APP, False), ('team/other', True)])
def test_no_report_is_superseded_in_a_repository_that_is_protected(name, going):
    inventory, scans = world()
    (repository,) = inventory.repositories
    policy = policy_of(protections=(Protection(name, RuleScope((glob(name),))),))
    found = reports_in(policy, Place(repository, build_graph(repository), {}, worlds.NOW), opaque=False)
    assert found.superseded.keys() == ({*scans[:2]} if going else set())
    assert bool(decide(inventory, policy, worlds.NOW).doomed) is going


def test_right_before_deleting_a_report_goes_although_its_image_stays_but_not_when_something_new_needs_it():
    inventory, scans = world()
    decision = decide(inventory, policy_of(), worlds.NOW)
    (seen,) = inventory.repositories
    doomed, superseded = decision.doomed_in(APP), decision.superseded_in(APP)
    assert doomed == superseded == {*scans[:2]}
    assert check_drift(doomed, seen, seen, superseded=superseded).valid == doomed
    assert check_drift(doomed, seen, seen).valid == frozenset()
    new = worlds.image('signature', subject=scans[0])
    later = worlds.to_inventory([worlds.repository_of(new, name=APP)]).repositories[0].manifests
    fresh = replace(seen, manifests={**seen.manifests, **later})
    assert check_drift(doomed, seen, fresh, superseded=superseded).valid == {scans[1]}


def test_right_before_deleting_a_signature_stays_with_its_report_when_something_new_needs_the_report():
    inventory, scans = world()
    (repository,) = inventory.repositories
    signature, new = (worlds.image(name, subject=scans[0]) for name in ('signature', 'new'))
    signatures = worlds.to_repository(worlds.repository_of(signature, new, name=APP)).manifests
    fresh = replace(repository, manifests={**repository.manifests, **signatures})
    seen = replace(repository, manifests={**repository.manifests, signature['digest']: signatures[signature['digest']]})
    doomed, superseded = {*scans[:2], signature['digest']}, {*scans[:2]}
    assert check_drift(doomed, seen, seen, superseded=superseded).valid == doomed
    found = check_drift(doomed, seen, fresh, superseded=superseded)
    assert (found.valid, found.skipped.keys()) == ({scans[1]}, {scans[0], signature['digest']})


@pytest.mark.parametrize(
    'before, after',
    [
        ('{artifactTypes: [scan]}', '{tagged: false}'),
        ('perSubject: {newest: 2}', 'newest: 3, perSubject: {newest: 2}'),
        ('do: delete\n- name: releases', 'do: untag\n- name: releases'),
    ],
)
def test_it_has_to_say_which_reports_and_nothing_else(before, after):
    with pytest.raises(PolicyError, match='perSubject'):
        parse_policy(POLICY.replace('OF', '').replace(before, after))
