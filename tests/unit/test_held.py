"""What stays for no other reason than that it is too young for a registry that may be in several regions."""

from __future__ import annotations

from dataclasses import replace

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.held import held_by
from azext_acrprune.model import Skipped
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Settling
from tests.worlds import DAY, NOW, image, repository_of, to_inventory

APP = 'team/app'
TEXT = 'it may be in several regions'
HOUR = DAY // 24


def held(*manifests, settling=TEXT, **flags):
    """What is held, by a rule that asks for two hours where settling takes a day."""
    policy = replace(policy_of(Flags(ago='2h', **flags)), settling=Settling(DAY, settling))
    inventory = to_inventory([repository_of(*manifests, name=APP)])
    return list(held_by(decide(inventory, policy, NOW), TEXT))


def of_three_ages(**more):
    """Too young by the rule, too young only for several regions, and old."""
    return [image(f'{hours} hours', age=hours * HOUR, **more) for hours in (1, 12, 48)]


def test_a_manifest_is_held_that_is_old_enough_for_its_rule_and_has_not_settled():
    young, lately, old = of_three_ages()
    kept = image('kept', tags=['v1'], age=12 * HOUR)
    assert held(young, lately, old, kept) == [Skipped(APP, lately['digest'], 'young', TEXT)]
    assert held(young, lately, old, kept, settling='another reason') == []


def test_a_tag_is_held_that_is_old_enough_for_its_rule_and_has_not_settled():
    images = of_three_ages()
    for number, each in enumerate(images):
        each['tags'] = [f'pr-{number}']
    kept = image('kept', tags=['v1'], age=12 * HOUR)
    found = held(*images, kept, match=('**:pr-*',))
    assert found == [Skipped(APP, images[1]['digest'], 'young', TEXT, 'pr-1')]
    assert held(*images, kept, match=('**:pr-*',), settling='another reason') == []
