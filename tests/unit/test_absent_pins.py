"""Pins that point to nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_acrprune.decide.remarks import absent_pins
from azext_acrprune.model import Ghost, Inventory, Manifest, Repository
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.references import Reference

DIGEST, OTHER = 'sha256:' + '1' * 64, 'sha256:' + '2' * 64
WEB = Manifest(DIGEST, Ghost(), tags=('v1',))
INVENTORY = Inventory('myreg', (Repository('team/web', {DIGEST: WEB}),), frozenset({'team/web'}))


def absent(*references, inventory=INVENTORY):
    pins = Pins(tuple(Pin(each, 'deploy.yaml', 3) for each in references))
    return [pin.reference for pin in absent_pins(inventory, pins)]


def test_what_is_there_by_tag_or_by_digest_is_not_absent():
    assert absent(Reference('team/web', 'v1'), Reference('team/web', 'old', DIGEST)) == []


@pytest.mark.parametrize(
    'reference', [Reference('team/web', 'v2'), Reference('team/web', None, OTHER), Reference('team/other', 'v1')]
)
def test_what_is_nowhere_is_absent(reference):
    assert absent(reference) == [reference]


def test_what_may_mean_another_registry_is_not_said():
    assert absent(Reference('team/web', 'v2', certain=False)) == []


def test_a_repository_that_was_not_read_may_have_it():
    for inventory in (replace(INVENTORY, complete=False), replace(INVENTORY, late=frozenset({'team/other'}))):
        assert absent(Reference('team/other', 'v1'), inventory=inventory) == []
