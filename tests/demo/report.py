"""Writes the report of the demo's registry: `python -m tests.demo.report report.html`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .setting import TARGET, run, stage


def main(file: str) -> None:
    with stage() as (az, _), tempfile.TemporaryDirectory() as folder:
        plan = str(Path(folder) / 'plan.json')
        run(az, 'acr', 'prune', 'plan', *TARGET, '--show-kept', '--out', plan, '-o', 'none')
        run(az, 'acr', 'prune', 'report', *TARGET, '--plan', plan, '--out', file, '-o', 'table')


if __name__ == '__main__':
    main(str(Path(sys.argv[1]).absolute()))
