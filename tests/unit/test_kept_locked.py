"""What a policy keeps locked: only locks of ours are taken off, each in its own repository."""

from dataclasses import replace

from azext_acrprune.decide.graph import build_graph
from azext_acrprune.decide.kept_locked import kept_locked
from azext_acrprune.policy.rules import Age, untagged_policy
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
