"""What a policy keeps locked: only locks of ours are taken off, each in its own repository."""

from dataclasses import replace

import pytest

from azext_acrprune.decide.graph import build_graph
from azext_acrprune.decide.kept_locked import kept_locked
from azext_acrprune.policy.flags import filter_scope
from azext_acrprune.policy.rules import Age, Protection, untagged_policy
from tests.worlds import image, repository_of, to_inventory


def test_a_lock_of_ours_that_nothing_wants_any_more_is_taken_off_in_its_repository_alone():
    locked = image('locked', locks=['deleteEnabled'])
    world = [repository_of(locked, name=f'team/{name}') for name in 'abc']
    inventory = to_inventory(world)
    policy = untagged_policy(Age('1d', 86_400))
    marks = {(name, locked['digest']): True for name in ('team/b', 'team/none')}
    policy = replace(policy, kept_locked=(), facts=replace(policy.facts, lock_marks=marks))
    found = kept_locked(policy, inventory, {each.name: build_graph(each) for each in inventory.repositories})
    assert (found.lock, found.unlock) == ({}, {('team/b', locked['digest']): True})


def test_a_lock_that_is_another_one_by_now_or_is_elsewhere_stays():
    free, other = image('free'), image('other', locks=['deleteEnabled', 'writeEnabled'])
    elsewhere = dict(free, locks=['deleteEnabled'])
    inventory = to_inventory([repository_of(free, other), repository_of(elsewhere, name='team/zoo')])
    policy = untagged_policy(Age('1d', 86_400))
    marks = {('team/web', each['digest']): True for each in (free, other)}
    policy = replace(policy, kept_locked=(), facts=replace(policy.facts, lock_marks=marks))
    found = kept_locked(policy, inventory, {each.name: build_graph(each) for each in inventory.repositories})
    assert found.unlock == {}


@pytest.mark.parametrize('selected', ['team/a', 'team/b'])
def test_nothing_is_locked_or_unlocked_in_a_repository_that_is_not_selected(selected):
    wanted, locked = image('wanted', tags=['v1']), image('locked', locks=['deleteEnabled'])
    names = ('team/a', 'team/b')
    inventory = to_inventory([repository_of(wanted, locked, name=name, selected=name == selected) for name in names])
    policy = untagged_policy(Age('1d', 86_400))
    policy = replace(
        policy,
        kept_locked=(Protection('team/*:v1', filter_scope('team/.*:v1')),),
        facts=replace(policy.facts, lock_marks={(name, locked['digest']): True for name in names}),
    )
    found = kept_locked(policy, inventory, {each.name: build_graph(each) for each in inventory.repositories})
    assert found.lock.keys() == {(selected, 'v1'), (selected, wanted['digest'])}
    assert found.unlock == {(selected, locked['digest']): True}


def test_a_tag_is_kept_locked_in_the_repositories_of_the_pattern_and_no_other_tag_there():
    wanted, other = image('wanted', tags=['v1']), image('other', tags=['b1'])
    inventory = to_inventory([repository_of(wanted, other, name=name) for name in ('team/a', 'team/b')])
    policy = replace(
        untagged_policy(Age('1d', 86_400)), kept_locked=(Protection('team/a:v1', filter_scope('team/a:v1')),)
    )
    found = kept_locked(policy, inventory, {each.name: build_graph(each) for each in inventory.repositories})
    assert found.lock.keys() == {('team/a', 'v1'), ('team/a', wanted['digest'])}


def test_what_is_locked_already_or_is_a_tag_that_is_not_listed_is_not_locked():
    wanted = image('wanted', tags=['v1', 'v2'], locks=['deleteEnabled'])
    inventory = to_inventory([repository_of(wanted)])
    (repository,) = inventory.repositories
    repository = replace(repository, tags={'v1': repository.tags['v1']})
    policy = replace(
        untagged_policy(Age('1d', 86_400)), kept_locked=(Protection('team/*:*', filter_scope('team/.*:.*')),)
    )
    found = kept_locked(
        policy, replace(inventory, repositories=(repository,)), {repository.name: build_graph(repository)}
    )
    assert found.lock == {('team/web', 'v1'): 'team/*:*'}
