"""docs/safety.md names a source and a test for each rule."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_, _, TABLE = (ROOT / 'docs' / 'safety.md').read_text().partition('## Rules, sources and tests')
ROWS = re.findall(r'^\| (.+) \|$', TABLE, re.MULTILINE)[1:]


def test_each_rule_has_a_test_that_is_there():
    assert len(ROWS) > 40
    for row in ROWS:
        tests = re.findall(r'`(tests/[\w/]+\.py)`', row.split(' | ')[-1])
        assert tests and all((ROOT / test).is_file() for test in tests), row
