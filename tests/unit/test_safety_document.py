"""docs/safety.md names a test for each promise, and a source and a test for each rule."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMISES, _, RULES = (ROOT / 'docs' / 'safety.md').read_text().partition('## Rules, sources and tests')


def rows(text):
    return re.findall(r'^\| (.+) \|$', text, re.MULTILINE)[1:]


def test_each_promise_and_each_rule_has_a_test_that_is_there():
    promises = rows(PROMISES.partition('## What we promise')[2])
    assert len(rows(RULES)) > 40 and len(promises) > 10
    for row in [*promises, *rows(RULES)]:
        tests = re.findall(r'`(tests/[\w/]+\.py)`', row.split(' | ')[-1])
        assert tests and all((ROOT / test).is_file() for test in tests), row
