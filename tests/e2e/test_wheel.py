"""What the installed wheel says of itself and brings along."""

from __future__ import annotations

from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def notes(extensions) -> Path:
    """The folder with the notes on the wheel, as installed."""
    (folder,) = (extensions / 'acrprune').glob('acrprune-*.dist-info')
    return folder


@pytest.fixture(scope='module')
def metadata(notes) -> Message:
    return message_from_string((notes / 'METADATA').read_text(encoding='utf-8'))


def test_the_licence_is_inside_and_named_by_its_spdx_expression(notes, metadata):
    assert metadata['License-Expression'] == 'MIT'
    assert metadata['License-File'] == 'LICENSE'
    assert (notes / 'licenses' / 'LICENSE').read_text() == (ROOT / 'LICENSE').read_text()
    assert not [each for each in metadata.get_all('Classifier') if each.startswith('License')]


def test_the_description_is_the_readme_and_nothing_else(metadata):
    assert metadata['Description-Content-Type'] == 'text/markdown'
    assert metadata.get_payload() == (ROOT / 'README.md').read_text(encoding='utf-8')


def test_it_has_project_urls_of_the_web(metadata):
    urls = [each.partition(', ')[2] for each in metadata.get_all('Project-URL')]
    assert urls
    assert all(url.startswith('https://') for url in urls)


def test_it_asks_for_what_requirements_txt_lists(metadata):
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    asked = {Requirement(line) for line in metadata.get_all('Requires-Dist')}
    assert asked == {Requirement(line) for line in lines if line and line[0] != '#'}


def test_all_that_is_no_code_is_inside(extensions):
    package = extensions / 'acrprune' / 'azext_acrprune'
    source = ROOT / 'azext_acrprune'
    for file in source.rglob('*'):
        if file.is_file() and file.suffix != '.pyc':
            assert (package / file.relative_to(source)).read_bytes() == file.read_bytes(), file
