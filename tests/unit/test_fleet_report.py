"""A report on several registries: one document, and one page, in which everything adds up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from azext_acrprune.documents.cost import GIB, Price
from azext_acrprune.model import Account
from azext_acrprune.show.report_page import layout, report_html
from azext_acrprune.usage.fleet_report import REGISTRIES_DRAWN, fleet_report
from azext_acrprune.usage.report_document import IMAGES_DRAWN, report_document
from tests.browser.registries import CREATED_AT, HOSTILE, busy, hostile, plan_of
from tests.worlds import NOW

from .test_report_html import Page

PRICE = Price(Decimal('0.003'), 'USD')


def reports(*sizes: int, with_plan: bool = False):
    """Reports on registries with so many images each, called `a`, `b` and so on."""
    found = []
    for number, size in enumerate(sizes):
        inventory = replace(busy(size, seed=number), registry=f'{chr(97 + number)}.azurecr.io')
        account = Account('Basic', None, used_bytes=(20 + number) * GIB, included_bytes=10 * GIB, regions=1)
        plan = plan_of(inventory) if with_plan else None
        found.append(report_document(inventory, plan, CREATED_AT, NOW, account, PRICE))
    return found


@pytest.mark.parametrize('with_plan', [True, False])
def test_all_parts_add_up_to_all_registries(with_plan):
    each = reports(60, 200, 30, with_plan=with_plan)
    fleet = fleet_report(each, {}, CREATED_AT)
    whole = fleet['summary']['registryBytes']
    assert whole == sum(one['summary']['registryBytes'] for one in each)
    assert whole == sum(row['bytes'] for row in fleet['states'])
    assert whole == sum(row['attributedBytes'] for row in fleet['repositories'])
    assert whole == sum(frame['bytes'] for frame in fleet['treemap']) == fleet['growth'][-1]['cumulativeBytes']
    for frame in fleet['treemap']:
        assert frame['bytes'] == sum(group['bytes'] for group in frame['groups'])
        for group in frame['groups']:
            assert group['bytes'] == sum(cell['bytes'] for cell in group['cells'])
    assert [row['registry'] for row in fleet['registries']] == [frame['registry'] for frame in fleet['treemap']]
    freed = fleet['summary']['freedBytes']
    assert freed == (sum(one['summary']['freedBytes'] for one in each) if with_plan else None)
    assert {row['repository'].partition('/')[0] for row in fleet['images']} == {f'{name}.azurecr.io' for name in 'abc'}


def test_a_fleet_draws_no_more_than_one_registry():
    fleet = fleet_report(reports(*[30] * (REGISTRIES_DRAWN + 3)), {}, CREATED_AT)
    *drawn, others = fleet['treemap']
    assert len(drawn) == REGISTRIES_DRAWN and (others['registry'], others['registries']) == (None, 3)
    cells = [cell for frame in drawn for group in frame['groups'] for cell in group['cells']]
    assert sum(cell['digest'] is not None for cell in cells) <= IMAGES_DRAWN
    assert fleet['summary']['registryBytes'] == sum(frame['bytes'] for frame in fleet['treemap'])
    assert len(report_html(fleet)) < 2_000_000


def test_what_failed_is_said_and_makes_lower_bounds_of_all_sums():
    fleet = fleet_report(reports(20), {'far': 'No <b>access</b>.'}, CREATED_AT)
    assert fleet['heldImpact'] == 'lowerBound' and fleet['notRead'][0] == 'far'
    assert fleet['registries'][-1] == {'registry': 'far', 'error': 'No <b>access</b>.'}
    page = Page(report_html(fleet))
    assert 'No <b>access</b>.' in page.text and '2 registries' in page.text and not page.named('b')
    assert 'Azure says that 20.0 GiB are used, in 1 of 2 registries.' in page.text
    assert 'All sizes, shares and growth below are lower bounds.' in page.text


@pytest.mark.parametrize('with_plan', [True, False])
def test_the_page_has_a_frame_and_a_row_with_money_for_each_registry(with_plan):
    page = Page(report_html(fleet_report(reports(60, 40, with_plan=with_plan), {}, CREATED_AT)))
    assert sum(attrs.get('class') == 'frame' for attrs in page.named('rect')) == 2 * 2  # in a wide and a narrow map
    assert 'Azure says that 41.0 GiB are used. Cost of storage: 1.89 USD in 30 days.' in page.text
    assert '0.90 USD' in page.text and '0.99 USD' in page.text
    assert ('The plans save' in page.text) is with_plan


def test_cells_lie_in_the_frame_of_their_registry():
    fleet = fleet_report(reports(60, 40, 10), {}, CREATED_AT)
    html = report_html(fleet)
    frames = [attrs for attrs in Page(html).named('rect') if attrs.get('class') == 'frame'][:3]
    areas = [float(frame['width']) * float(frame['height']) for frame in frames]
    sizes = [frame['bytes'] for frame in fleet['treemap']]
    assert [area / sum(areas) for area in areas] == pytest.approx([size / sum(sizes) for size in sizes], rel=0.02)
    for frame, row in zip(frames, fleet['treemap']):
        _, cells = layout(row['groups'], float(frame['width']), float(frame['height']))
        assert sum(cell.width * cell.height for cell in cells) == pytest.approx(
            float(frame['width']) * float(frame['height']), rel=0.02
        )


def test_hostile_texts_add_no_element():
    page = Page(
        report_html(fleet_report([report_document(hostile(), None, CREATED_AT, NOW)], {HOSTILE: HOSTILE}, CREATED_AT))
    )
    assert {name for name, _ in page.elements}.isdisjoint({'img', 'iframe', 'object', 'base', 'form', 'b'})
