"""Which values of names belong together: those of one item of a list, wherever Python keeps the item in memory."""

from __future__ import annotations

import pytest

from azext_acrprune.pins.filling import belong
from azext_acrprune.pins.read import read_pins
from azext_acrprune.pins.references import RegistryNames
from azext_acrprune.pins.scopes import Filled, Scope

NAMES = RegistryNames('myreg.azurecr.io')
MATRIX = """jobs:
  build:
    strategy: {matrix: {include: [{svc: a, tag: "1"}, {svc: b, tag: "2"}, {svc: c, tag: "3"}]}}
    steps:
    - run: docker push myreg.azurecr.io/team/${{ matrix.svc }}:${{ matrix.tag }}
"""


def test_a_scope_has_no_number_of_one_that_is_gone():
    assert len({Scope().number for _ in range(1_000)}) == 1_000


def test_items_of_a_list_stay_apart_however_often_a_file_is_read():
    expected = [('team/a', '1'), ('team/b', '2'), ('team/c', '3')]
    for _ in range(50):
        pins = read_pins(MATRIX.encode(), 'ci.yaml', NAMES).pins
        assert [(pin.reference.repository, pin.reference.tag) for pin in pins] == expected


@pytest.mark.parametrize(
    'first, second, together',
    [
        ({('list', 1)}, {('list', 1)}, True),
        ({('list', 1)}, {('list', 2)}, False),
        ({('list', 1)}, {('other', 2)}, True),
        ({('list', 1)}, set(), True),
        ({('list', 1), ('list', 2)}, {('list', 1)}, True),
        ({('list', 1), ('list', 2)}, {('list', 2)}, True),
        ({('list', 1), ('list', 2)}, {('list', 3)}, False),
        ({('list', 1), ('other', 1)}, {('list', 1), ('other', 2)}, False),
    ],
)
def test_texts_of_different_items_of_one_list_do_not_belong_together(first, second, together):
    assert belong(Filled('a', origin=frozenset(first)), Filled('b', origin=frozenset(second))) == together
