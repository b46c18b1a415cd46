"""The report in a real browser: silent, alone, adding up, sortable, searchable, and readable on any screen.

Pictures go to the folder that ACRPRUNE_PICTURES names, else to pytest's own temporary folder. Where ACRPRUNE_BROWSER is
set, as in CI, a missing browser is a failure.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from azext_acrprune.show.report_page import report_html
from azext_acrprune.usage.report_document import report_document
from tests.worlds import NOW

from .browser import DESKTOP, PHONE, Browser, missing
from .registries import CREATED_AT, HOSTILE, busy, hostile, plan_of

pytestmark = pytest.mark.skipif(bool(missing()) and 'ACRPRUNE_BROWSER' not in os.environ, reason=missing() or '')


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    assert not missing(), missing()
    browser = Browser(tmp_path_factory.mktemp('profile'))
    yield browser
    browser.close()


@pytest.fixture(scope='module')
def pictures(tmp_path_factory) -> Path:
    named = os.environ.get('ACRPRUNE_PICTURES')
    if named:
        Path(named).mkdir(parents=True, exist_ok=True)
    return Path(named) if named else tmp_path_factory.mktemp('pictures')


@pytest.fixture(scope='module')
def document():
    inventory = busy(900)
    return report_document(inventory, plan_of(inventory), CREATED_AT, NOW)


@pytest.fixture(scope='module')
def page(tmp_path_factory, document) -> Path:
    return written(tmp_path_factory, document)


def written(tmp_path_factory, document) -> Path:
    file = tmp_path_factory.mktemp('report') / 'report.html'
    file.write_text(report_html(document), encoding='utf-8')
    return file


SCREENS = {'light': (DESKTOP, False), 'dark': (DESKTOP, True), 'phone': (PHONE, False), 'phone-dark': (PHONE, True)}


@pytest.mark.parametrize('screen', SCREENS)
def test_page_is_silent_asks_for_nothing_and_fits_the_screen(browser, page, pictures, screen):
    size, dark = SCREENS[screen]
    browser.open(page, size, dark)
    for button in browser.run('return [...document.querySelectorAll("th button")].slice(0, 3)'):
        browser.run('arguments[0].click()', button)
    browser.run(
        'document.querySelector("#treemap-wide .cell").dispatchEvent(new PointerEvent("pointerover", {bubbles: true}))'
    )
    browser.picture(pictures / f'{screen}.png')
    assert browser.complaints() == []
    assert browser.requests() == [browser.opened]
    assert browser.run('return document.documentElement.scrollWidth') <= size[0]
    assert (pictures / f'{screen}.png').stat().st_size < 1_500_000


@pytest.mark.parametrize('width', [390, 320])
def test_on_a_phone_the_page_never_overflows_and_a_box_that_scrolls_shows_it(browser, page, pictures, width):
    browser.open(page, (width, 844))
    for name in ('states', 'repositories', 'images', 'layers'):
        browser.run('document.getElementById(arguments[0]).scrollIntoView({behavior: "instant"})', name)
        browser.picture(pictures / f'phone-{width}-{name}.png', whole=False)
    assert browser.run('return document.documentElement.scrollWidth') <= width
    boxes = browser.run(
        'return [...document.querySelectorAll(".scroll")].map(each => ({'
        'scrolls: each.scrollWidth > each.clientWidth,'
        'says: !each.previousElementSibling.hidden && each.previousElementSibling.className === "sideways",'
        'shadow: getComputedStyle(each).backgroundImage.includes("gradient"),'
        'reached: each.tabIndex === 0}))'
    )
    assert len(boxes) == 6
    assert all(box['says'] == box['scrolls'] and box['shadow'] and box['reached'] for box in boxes)
    assert width != 390 or not any(box['scrolls'] for box in boxes), 'on a phone every column is on the screen'
    assert browser.run('return [...document.querySelectorAll("table")].every(each => each.closest(".scroll"))')


@pytest.mark.parametrize('width', [1280, 390, 320])
def test_no_label_of_the_map_is_cut_in_mid_word(browser, page, width):
    browser.open(page, (width, 844))
    labels = browser.run('return [...document.querySelectorAll(".treemap text")].map(each => each.textContent.trim())')
    cut = [label for label in labels if label.endswith('…')]
    assert cut and all(label[-2] in '-/._: ' for label in cut)


def test_a_request_would_be_seen_and_is_refused(browser, page):
    """The watch of the other tests is no blind one: a page that asks is caught, by the log and by its own policy."""
    browser.open(page)
    browser.run(
        'const image = new Image(); image.src = "https://localhost:9/pixel.png"; document.body.append(image);'
        'fetch("https://localhost:9/data").catch(() => {})'
    )
    browser.run('return new Promise(done => setTimeout(done, 200))')
    assert any('Content Security Policy' in complaint for complaint in browser.complaints())


@pytest.mark.parametrize('name, size', [('wide', DESKTOP), ('narrow', PHONE)])
def test_treemap_that_the_screen_shows_adds_up_to_the_registry(browser, page, document, name, size):
    browser.open(page, size)
    shown = browser.run(
        'return [...document.querySelectorAll(".treemap")].filter('
        'each => getComputedStyle(each).display !== "none").map(each => each.id)'
    )
    assert shown == [f'treemap-{name}']
    cells = browser.run(
        f'return [...document.querySelectorAll("#treemap-{name} .cell")].map(each => {{'
        ' const box = each.getBBox(); return [Number(each.dataset.bytes), box.width * box.height] })'
    )
    whole = document['summary']['registryBytes']
    assert sum(size for size, _ in cells) == whole
    area = sum(area for _, area in cells)
    for size, drawn in cells:
        assert drawn / area == pytest.approx(size / whole, abs=2e-4)
    states = browser.run(
        f'return [...document.querySelectorAll("#treemap-{name} .cell.freed")].map(each => Number(each.dataset.bytes))'
    )
    assert sum(states) == document['summary']['freedBytes']


def column(browser, table, place):
    return browser.run(
        f'return [...document.querySelectorAll("#{table} tbody tr")].filter(row => !row.hidden).map('
        f'row => row.cells[{place}].dataset.value ?? row.cells[{place}].textContent.trim())'
    )


def click(browser, table, place):
    browser.run(f'document.querySelectorAll("#{table} thead tr")[0].cells[{place}].querySelector("button").click()')
    return browser.run(
        f'return [...document.querySelectorAll("#{table} thead tr")[0].cells].map('
        'each => each.getAttribute("aria-sort"))'
    )


def test_a_click_on_a_heading_sorts_and_says_so(browser, page, document):
    browser.open(page)
    sizes = sorted((row['attributedBytes'] for row in document['repositories']), reverse=True)
    assert [int(value) for value in column(browser, 'repositories-table', 1)] == sizes
    assert click(browser, 'repositories-table', 1)[1] == 'ascending'
    assert [int(value) for value in column(browser, 'repositories-table', 1)] == sizes[::-1]
    freed = sorted((row['attributedFreedBytes'] for row in document['repositories']), reverse=True)
    sorts = click(browser, 'repositories-table', 2)
    assert (sorts[2], [each for each in sorts if each]) == ('descending', ['descending'])
    assert [int(value) for value in column(browser, 'repositories-table', 2)] == freed
    assert click(browser, 'repositories-table', 0)[0] == 'ascending'
    names = column(browser, 'repositories-table', 0)
    assert names == browser.run('return arguments[0].sort(new Intl.Collator("en", {numeric: true}).compare)', names)


def test_headings_sort_by_keyboard(browser, page):
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    heading = browser.run('return document.querySelector("#layers-table thead th:nth-of-type(3) button")')
    heading.send_keys(Keys.ENTER)
    counts = [int(value) for value in column(browser, 'layers-table', 2)]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize('table', ['repositories-table', 'images-table', 'layers-table'])
def test_search_leaves_the_rows_that_have_every_word(browser, page, table):
    browser.open(page)
    everything = column(browser, table, 0)
    field = browser.run(f'return document.querySelector("[data-table={table}]")')
    field.send_keys('TEAM-WEB  worker')
    texts = browser.run(
        f'return [...document.querySelectorAll("#{table} tbody tr")].filter(row => !row.hidden).map('
        'row => row.textContent)'
    )
    assert 0 < len(texts) < len(everything)
    assert all('team-web' in text and 'worker' in text for text in texts)
    assert browser.run(f'return document.querySelector("[data-count={table}]").textContent') == (
        f'{len(texts)} of {len(everything)}'
    )
    field.clear()
    field.send_keys(' ')
    assert column(browser, table, 0) == everything


def test_a_whole_digest_is_found(browser, page, document):
    browser.open(page)
    digest = document['layers'][7]['digest']
    browser.run('return document.querySelector("[data-table=layers-table]")').send_keys(digest)
    assert column(browser, 'layers-table', 0) == [digest[:19]]


def test_pointing_at_a_field_tells_what_it_is(browser, page, document):
    browser.open(page)
    browser.run(
        'document.querySelector("#treemap-wide .cell").dispatchEvent(new PointerEvent("click", {bubbles: true}))'
    )
    text = browser.run('return document.getElementById("readout").textContent')
    assert text == browser.run('return document.querySelector("#treemap-wide .chosen title").textContent')
    assert document['treemap'][0]['repository'] in text


def test_everything_is_there_without_a_script(browser, page, document, pictures):
    browser.open(page, script=False)
    browser.picture(pictures / 'no-script.png', whole=False)
    browser.command('Emulation.setScriptExecutionDisabled', value=False)
    assert browser.run('return document.querySelectorAll("#repositories-table tbody tr").length') == (
        len(document['repositories'])
    )
    assert browser.run(
        'return [...document.querySelectorAll(".search")].every(each => getComputedStyle(each).display === "none")'
    )


def test_text_of_the_page_has_contrast(browser, page):
    """At least 4.5 to 1, the limit of WCAG 2.1 for text, in light and dark."""
    for dark in (False, True):
        browser.open(page, DESKTOP, dark)
        for selector in ('h1', '.lead', 'caption', 'tbody td', 'thead th', 'nav a', '.why', '.columns span'):
            color, ground = browser.run(
                'const each = document.querySelector(arguments[0]); let under = each;'
                'while (getComputedStyle(under).backgroundColor === "rgba(0, 0, 0, 0)") under = under.parentElement;'
                'return [getComputedStyle(each).color, getComputedStyle(under).backgroundColor]',
                selector,
            )
            assert contrast(color, ground) >= 4.5, (selector, dark)


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    parts = [int(part) / 255 for part in color[color.index('(') + 1 : -1].split(',')[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def test_it_prints_on_white_paper_with_every_row(browser, page):
    browser.open(page, DESKTOP, dark=True)
    browser.command('Emulation.setEmulatedMedia', media='print')
    assert browser.run('return getComputedStyle(document.body).backgroundColor') == 'rgb(255, 255, 255)'
    assert browser.run(
        'return [...document.querySelectorAll(".search, nav")].every(each => getComputedStyle(each).display === "none")'
    )
    assert browser.run(
        'return [...document.querySelectorAll(".scroll")].every(each => each.scrollHeight <= each.clientHeight + 1)'
    )


def test_hostile_texts_run_nothing(browser, tmp_path_factory, pictures):
    inventory = hostile()
    file = written(tmp_path_factory, report_document(inventory, plan_of(inventory), CREATED_AT, NOW))
    browser.open(file)
    browser.picture(pictures / 'hostile.png')
    assert browser.complaints() == []
    assert browser.requests() == [browser.opened]
    assert browser.run('return document.title') == 'Where the space goes: contoso.azurecr.io'
    assert browser.run('return document.scripts.length') == 1
    assert browser.run('return document.querySelectorAll("img").length') == 0
    assert HOSTILE[:50] in browser.run('return document.querySelector("#repositories-table tbody").textContent')
    assert browser.run('return document.documentElement.scrollWidth') <= DESKTOP[0]
