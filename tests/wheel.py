"""Builds the wheel and adds it to az, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.registry.azcli import az_executable

ROOT = Path(__file__).resolve().parents[1]


def install_extension(work: Path) -> Path:
    """Build in `work` and leave the tree alone; gives the folder for AZURE_EXTENSION_DIR."""
    subprocess.run(
        [
            sys.executable,
            'setup.py',
            '--quiet',
            'build',
            '--build-base',
            str(work / 'build'),
            'egg_info',
            '--egg-base',
            str(work),
            'bdist_wheel',
            '--dist-dir',
            str(work / 'dist'),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = (work / 'dist').glob('acrprune-*.whl')
    folder = work / 'extensions'
    env = {
        **os.environ,
        'AZURE_EXTENSION_DIR': str(folder),
        'AZURE_CONFIG_DIR': str(work / 'config'),
        'AZURE_CORE_COLLECT_TELEMETRY': 'no',
    }
    subprocess.run(
        [az_executable(), 'extension', 'add', '--source', str(wheel), '-y'], env=env, check=True, capture_output=True
    )
    return folder
