"""The report as HTML: escaped, accessible, small, and laid out so that areas are bytes."""

import base64
import hashlib
import re
from collections import Counter
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.documents.cost import GIB, Price
from azext_acrprune.model import Account, Blob, Notice, Repository
from azext_acrprune.show.report_page import STATE_LABELS, STATE_LABELS_WITHOUT_PLAN, layout, report_html
from azext_acrprune.usage.report_document import report_document
from tests.browser.registries import CREATED_AT, HOSTILE, busy, hostile, inventory_of, plan_of, sha
from tests.browser.registries import manifest_of as manifest
from tests.examples import examples
from tests.worlds import NOW

VOID = {'meta', 'input', 'wbr', 'br', 'link'}


class Page(HTMLParser):
    """Elements with their attributes and all text, as a browser reads the file; fails on what is not well nested."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self._open = [], '', []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def named(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def page_of(inventory, plan=None):
    return Page(report_html(report_document(inventory, plan, CREATED_AT, NOW)))


@pytest.mark.parametrize('with_plan', [True, False])
def test_hostile_texts_add_no_element_and_no_attribute(with_plan):
    attacked, calm = (page_of(each, plan_of(each) if with_plan else None) for each in (hostile(), harmless()))
    assert shape(attacked) == shape(calm)
    assert "<script>document.title='owned'</script>" in attacked.text
    assert {name for name, _ in attacked.elements}.isdisjoint({'img', 'iframe', 'object', 'base', 'form', 'a href'})


def harmless():
    """The hostile registry with a harmless text of the same length in its place."""
    import tests.browser.registries as registries

    attack, registries.HOSTILE = registries.HOSTILE, 'h' * len(HOSTILE)
    try:
        return registries.hostile()
    finally:
        registries.HOSTILE = attack


def shape(page):
    """Which elements with which attributes; widths of texts decide whether a label is drawn, so labels are left out."""
    return Counter((name, *sorted(attrs)) for name, attrs in page.elements if name not in ('text', 'svg'))


@examples(60)
@given(st.text(max_size=200))
def test_any_name_of_a_repository_is_shown_as_text_on_one_line(name):
    inventory = inventory_of([Repository(name, {sha('m'): manifest(('m',), [Blob(sha('b'), 10)], 1)})])
    html = report_html(report_document(inventory, None, CREATED_AT, NOW))
    html.encode('utf-8')
    page = Page(html)
    if name and name.isprintable() and len(name) <= 120:
        assert name in page.text
    assert not any(each in html for each in '\u202e\u2066\x00\x1b')


def test_warnings_and_plans_are_escaped_too():
    inventory = inventory_of([], warnings=(Notice('<b>', '<i>"x"</i>', '<u>', '<s>'),))
    page = page_of(inventory)
    assert {'b', 'i', 'u', 's'}.isdisjoint(name for name, _ in page.elements)
    assert '<i>"x"</i>' in page.text


def test_what_azure_says_and_what_it_costs_are_told_whole_and_escaped():
    account = Account('Basic', 7, used_bytes=40 * GIB, included_bytes=10 * GIB, regions=1)
    price = Price(Decimal('0.003'), '<img>&')
    for plan, saves in ((plan_of(busy(60)), True), (None, False)):
        page = Page(report_html(report_document(busy(60), plan, CREATED_AT, NOW, account, price)))
        assert 'Azure says that 40.0 GiB are used (10.0 GiB are included): ' in page.text
        assert 'soft-deleted images, uploads that no manifest uses, what Azure counts with a delay).' in page.text
        assert 'Cost of storage: 2.70 <img>& in 30 days, at 0.003 <img>& for a GiB and day: ' in page.text
        assert ('That saves ' in page.text) == saves
        assert 'img' not in {name for name, _ in page.elements}


def test_without_azure_the_report_says_so_and_without_a_price_it_says_nothing_of_cost():
    text = page_of(busy(60), plan_of(busy(60))).text
    assert 'The real usage is not known.' in text
    assert 'The cost is not known' not in text
    assert 'saves' not in text


def test_only_the_one_style_and_the_one_script_are_allowed_and_no_network():
    html = report_html(report_document(busy(60), None, CREATED_AT, NOW))
    policy = next(
        meta['content'] for meta in Page(html).named('meta') if meta.get('http-equiv') == 'Content-Security-Policy'
    )
    assert policy.startswith("default-src 'none'; ")
    for tag in ('style', 'script'):
        (content,) = re.findall(f'<{tag}>(.*?)</{tag}>', html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r'(?:src|href|action|srcset)="(?!#)|style="|\son\w+="|url\((?!#)|@import|https?:', html)


def test_tables_have_captions_and_scopes_and_pictures_have_texts():
    page = page_of(busy(300), plan_of(busy(300)))
    tables = page.named('table')
    assert len(page.named('caption')) == len(tables) >= 6
    assert all(head.get('scope') in ('col', 'row') for head in page.named('th'))
    assert all(head['aria-sort'] == 'descending' for head in page.named('th') if 'aria-sort' in head)
    for svg in page.named('svg'):
        assert svg.get('aria-hidden') == 'true' or svg.get('role') == 'img' or {'x', 'preserveaspectratio'} & set(svg)
    ids = [attrs['id'] for _, attrs in page.elements if 'id' in attrs]
    assert len(ids) == len(set(ids))
    for attrs in (attrs for _, attrs in page.elements):
        for name in (attrs.get('aria-labelledby') or '').split():
            assert name in ids


def test_every_state_has_a_text_a_fill_and_is_told_apart_without_colour():
    from azext_acrprune.show.report_page import _TEMPLATES
    from azext_acrprune.usage.stakes import STATES

    assert tuple(STATE_LABELS) == STATES
    assert set(STATE_LABELS_WITHOUT_PLAN) == set(STATE_LABELS) - {'freed', 'shared'}
    style = (_TEMPLATES / 'report.css').read_text()
    fills = {state: re.search(rf'\.{state} {{ fill: (.+?);', style)[1] for state in STATE_LABELS}
    assert len(set(fills.values())) == len(fills)
    assert {fills[state] for state in ('freed', 'shared')} == {'url(#p-freed)', 'url(#p-shared)'}


def cells_of(html, name):
    svg = re.search(rf'<svg class="treemap {name}".*?</svg>\n(?=<svg class="treemap|<figcaption)', html, re.DOTALL)[0]
    return [int(size) for size in re.findall(r'data-bytes="(\d+)"', svg)]


@pytest.mark.parametrize('images', [0, 1, 40, 900])
def test_the_cells_in_the_file_add_up_to_the_registry(images):
    document = report_document(busy(images) if images else inventory_of([]), None, CREATED_AT, NOW)
    for name in ('wide', 'narrow'):
        assert sum(cells_of(report_html(document), name)) == document['summary']['registryBytes']


SIZES = st.lists(st.one_of(st.integers(1, 100), st.integers(1, 10**15)), min_size=1, max_size=60)


@examples(200)
@given(st.lists(SIZES, min_size=1, max_size=5))
def test_areas_are_bytes_and_lie_within_the_map(groups):
    rows = [
        {'bytes': sum(sizes), 'cells': [{'state': str(place % 3), 'bytes': size} for place, size in enumerate(sizes)]}
        for sizes in groups
    ]
    for row in rows:
        row['cells'].sort(key=lambda cell: cell['state'])
    _, boxes = layout(rows, 1200, 640)
    whole = sum(map(sum, groups))
    assert len(boxes) == sum(map(len, groups))
    assert sum(box.width * box.height for box in boxes) == pytest.approx(1200 * 640)
    for box in boxes:
        assert box.width > 0 and box.height > 0
        assert box.x >= -0.01 and box.x + box.width <= 1200.01 and box.y >= -0.01 and box.y + box.height <= 640.01
        assert box.width * box.height / (1200 * 640) == pytest.approx(box.of['bytes'] / whole, rel=1e-3, abs=2e-6)


def test_ten_thousand_images_make_a_file_of_one_megabyte():
    inventory = busy(7_000)
    assert sum(len(each.manifests) for each in inventory.repositories) >= 10_000
    assert len(report_html(report_document(inventory, plan_of(inventory), CREATED_AT, NOW)).encode()) < 1_000_000


def test_long_hostile_names_everywhere_make_no_more_than_five_megabytes():
    name = '"\u202e' * 500
    repositories = []
    for number in range(1_200):
        images = (
            manifest(
                (number, each),
                [Blob(f'{name}{number}/{each}', 1_000)],
                40 + each,
                platform=name,
                artifact_type=name,
                tags=(f'{name}{each}',) if each % 2 else (),
            )
            for each in range(3)
        )
        repositories.append(Repository(f'{name}{number}', {each.digest: each for each in images}))
    inventory = inventory_of(repositories, warnings=tuple(Notice(name, name, name, name) for _ in range(500)))
    assert len(report_html(report_document(inventory, plan_of(inventory), CREATED_AT, NOW)).encode()) < 5_000_000
