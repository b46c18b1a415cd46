"""The figures of docs/scale.md: `python -m tests.simulate`. Fails where the page says something else."""

from __future__ import annotations

import sys
from pathlib import Path

from .page import missing_in
from .tables import tables

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'scale.md'


def main() -> int:
    found = []
    for table in tables():
        print('\n'.join(table), end='\n\n', flush=True)
        found += table
    missing = missing_in(PAGE.read_text(encoding='utf-8'), found)
    for line in missing:
        print(f'docs/scale.md does not say: {line}', file=sys.stderr)
    return 1 if missing else 0


if __name__ == '__main__':
    sys.exit(main())
