"""Which manifests that answer 404 are ghosts, and which are only doubted because a rule asks for a greater age."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_acrprune.decide.ghosts import doubted_anew, with_doubtful_ghosts
from azext_acrprune.model import Ghost, Unreadable
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import DELETE, KEEP, RETIRE, UNTAG
from tests.worlds import DAY, NOW, ghost, image, repository_of, to_inventory, unreadable

APP = 'team/app'
OLD = ghost(image('old', age=10 * DAY))
YOUNG = ghost(image('young', age=DAY // 2))
TAGGED = ghost(image('tagged', tags=['v1'], age=10 * DAY))
FORBIDDEN = unreadable(image('forbidden', age=10 * DAY))


def doubted(*manifests):
    """The inventory of a decision by a rule that asks for thirty days."""
    inventory = to_inventory([repository_of(*manifests, name=APP), repository_of(image('other'), name='team/other')])
    return with_doubtful_ghosts(inventory, policy_of(Flags(ago='30d')), NOW)


def content_of(inventory, manifest):
    return inventory.repositories[0].manifests[manifest['digest']].content


def is_doubted(inventory, manifest):
    content = content_of(inventory, manifest)
    return isinstance(content, Unreadable) and content.missing


def test_a_ghost_that_only_a_rule_doubted_is_one_again_after_a_day_and_any_other_is_doubted_still():
    inventory = doubted(OLD, YOUNG, TAGGED)
    assert all(is_doubted(inventory, each) for each in (OLD, YOUNG, TAGGED))
    again = doubted_anew(inventory, NOW)
    assert content_of(again, OLD) == Ghost()
    assert is_doubted(again, YOUNG) and is_doubted(again, TAGGED)


def test_a_tagged_one_that_is_named_is_a_ghost_and_no_other_is_and_not_elsewhere():
    other = ghost(image('other tagged', tags=['v2'], age=10 * DAY))
    inventory = doubted(TAGGED, other)
    again = doubted_anew(inventory, NOW, {(APP, TAGGED['digest'])})
    assert content_of(again, TAGGED) == Ghost() and is_doubted(again, other)
    assert is_doubted(doubted_anew(inventory, NOW, {('team/other', TAGGED['digest'])}), TAGGED)
    assert is_doubted(doubted_anew(doubted(YOUNG), NOW, {(APP, YOUNG['digest'])}), YOUNG), (
        'it is too young all the same'
    )


def test_what_is_there_and_refuses_to_be_read_is_never_taken_for_a_ghost():
    inventory = doubted(FORBIDDEN, OLD)
    again = doubted_anew(inventory, NOW, {(APP, FORBIDDEN['digest'])})
    assert content_of(again, FORBIDDEN) == content_of(inventory, FORBIDDEN) != Ghost()
    assert content_of(again, OLD) == Ghost()


def test_where_nothing_is_doubted_all_is_as_it_was():
    inventory = doubted(FORBIDDEN, image('image', tags=['v1']))
    assert doubted_anew(inventory, NOW) == inventory


@pytest.mark.parametrize('action, doubtful', [(DELETE, True), (RETIRE, True), (UNTAG, False), (KEEP, False)])
def test_a_ghost_is_doubted_for_the_age_that_a_rule_asks_for_which_takes_images(action, doubtful):
    policy = policy_of(Flags(ago='30d'))
    policy = replace(policy, rules=tuple(replace(rule, action=action) for rule in policy.rules))
    inventory = with_doubtful_ghosts(to_inventory([repository_of(OLD, name=APP)]), policy, NOW)
    assert is_doubted(inventory, OLD) is doubtful
