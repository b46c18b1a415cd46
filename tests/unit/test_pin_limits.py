"""What is too much to be followed is left open, and told: nothing is cut off without a word."""

from __future__ import annotations

import json

import pytest

from azext_acrprune.pins.pinned import NOT_LISTED
from azext_acrprune.pins.read import read_pins
from azext_acrprune.pins.references import RegistryNames
from azext_acrprune.sources.pin_files import read_files

NAMES = RegistryNames('myreg.azurecr.io')
TEMPLATE = json.dumps(
    {
        'parameters': {'tag': {'type': 'string'}},
        'resources': [{'properties': {'image': "[concat('myreg.azurecr.io/team/app:', parameters('tag'))]"}}],
    }
)
PARAMETERS = '{{"parameters": {{"tag": {{"value": "1.{}.0"}}}}}}'
MODULE = (
    'variable "tag" {\n  default = "0.0.1"\n}\n'
    'resource "a" "b" {\n  image = "myreg.azurecr.io/team/app:${var.tag}"\n}\n'
)


def read(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found, _ = read_files([str(folder)], NAMES)
    return {pin.reference.tag for pin in found.pins}, found.problems


@pytest.mark.parametrize('number', [40, 60])
def test_all_parameters_of_a_template_count(tmp_path, number):
    files = {f'main.parameters.{each}.json': PARAMETERS.format(each) for each in range(number)}
    assert read(tmp_path, {'main.json': TEMPLATE, **files}) == ({f'1.{each}.0' for each in range(number)}, ())


def test_parameters_of_a_template_that_are_too_many_are_told(tmp_path):
    files = {f'main.parameters.{each}.json': PARAMETERS.format(each) for each in range(90)}
    tags, problems = read(tmp_path, {'main.json': TEMPLATE, **files})
    assert len(tags) == 60 and any('team/app' in problem.message for problem in problems)


@pytest.mark.parametrize(
    ('name', 'head', 'row', 'tail'),
    [
        ('x.py', 'TAGS = {', '"c{0}": "1.{0}.0",', '}\nrun(f"myreg.azurecr.io/team/app:{TAGS[customer]}")\n'),
        (
            'x.tf',
            'locals {\n  tags = {\n',
            '    c{0} = "1.{0}.0"\n',
            '  }\n}\nresource "a" "b" {\n  image = "myreg.azurecr.io/team/app:${local.tags[terraform.workspace]}"\n}\n',
        ),
        ('x.ts', 'const tags = {', 'c{0}: "1.{0}.0",', '};\nrun(`myreg.azurecr.io/team/app:${tags[customer]}`);\n'),
    ],
)
def test_a_mapping_with_too_many_values_is_told(name, head, row, tail):
    for number, is_told in ((50, False), (100, True)):
        text = head + ''.join(row.format(each) for each in range(number)) + tail
        found = read_pins(text.encode(), name, NAMES)
        assert len(found.pins) >= min(number, 60)
        assert any('team/app' in problem.message for problem in found.problems) is is_told


def test_an_expression_with_too_many_texts_is_told():
    choice = ' : '.join(f'a{each} ? "1.{each}"' for each in range(40))
    text = f'const image = "myreg.azurecr.io/team/app:" + ({choice} : "0.1");\n'
    found = read_pins(text.encode(), 'x.ts', NAMES)
    assert len(found.pins) >= 10 and any('team/app' in problem.message for problem in found.problems)


@pytest.mark.parametrize(
    'others',
    [
        {f'stacks/s{place}/f{each}.tf': '# empty\n' for place in range(1, 25) for each in range(9)},
        {f'stacks/s0/d{each}/x.yaml': 'a: b\n' for each in range(40)},
        {f'stacks/s0/k{each}.yaml': 'a: b\n' for each in range(210)},
    ],
)
def test_files_in_the_same_folder_count_however_many_are_around(tmp_path, others):
    own = {'stacks/s0/main.tf': MODULE, 'stacks/s0/terraform.tfvars': 'tag = "1.9.0"\n'}
    tags, problems = read(tmp_path, {**own, **others})
    assert tags == {'0.0.1', '1.9.0'} and all(problem.code == NOT_LISTED for problem in problems)


def test_folders_that_are_not_looked_at_are_told_once(tmp_path):
    files = {'main.tf': MODULE, 'env/prod.tfvars': 'tag = "1.9.0"\n', 'near/a.yaml': 'a: b\n'}
    assert read(tmp_path / 'few', files)[1] == ()
    _, problems = read(tmp_path / 'many', {**files, **{f'd{each}/x.yaml': 'a: b\n' for each in range(40)}})
    assert [(problem.code, problem.line) for problem in problems] == [(NOT_LISTED, 0)]
    assert 'because there are too many' in problems[0].message and 'more folders' in problems[0].message
