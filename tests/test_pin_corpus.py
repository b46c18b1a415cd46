"""Files of every kind that pins are read from, each with what it pins; and hostile ones.

In `expected.json` a pin is `LINE REPOSITORY[:TAG][@first digits of the digest]`, with ` ?` where it is not certain to
be an image of this registry.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from azext_acrprune.pins import syntax
from azext_acrprune.pins.pinned import Pin, merged
from azext_acrprune.pins.read import STANDARD_INPUT, read_pins
from azext_acrprune.pins.references import RegistryNames
from tests.examples import examples

from .pin_shapes import cases

CORPUS = Path(__file__).with_name('pin_corpus')
EXPECTED = json.loads((CORPUS / 'expected.json').read_text())
NAMES = RegistryNames('myreg.azurecr.io', ('images.contoso.com',))
TEXTS = sorted(set(EXPECTED) - {'junk.bin'})
KINDS = ('x.yaml', 'x.json', 'Dockerfile', 'x.tf', 'x.bicep', 'x.txt', STANDARD_INPUT)
READERS = (
    *KINDS,
    'x.py',
    'x.ts',
    'x.sh',
    'x.tpl',
    'x.xml',
    'x.csv',
    'x.ini',
    'x.ps1',
    'x.spdx',
    'Earthfile',
    'x.bat',
    'x.erb',
)


def read(data, name):
    found = read_pins(data, name, NAMES)
    return {
        'pins': [shown(pin) for pin in sorted(found.pins, key=lambda pin: (pin.line, str(pin.reference)))],
        'problems': [f'{problem.line} {problem.message}' for problem in found.problems],
    }


def shown(pin: Pin) -> str:
    reference = pin.reference
    tag = f':{reference.tag}' if reference.tag else ''
    digest = f'@{reference.digest[7:11]}' if reference.digest else ''
    return f'{pin.line} {reference.repository}{tag}{digest}{"" if reference.certain else " ?"}'


def test_every_file_has_an_expectation():
    assert {path.name for path in CORPUS.iterdir()} - {'expected.json'} == set(EXPECTED)


@pytest.mark.parametrize('name', sorted(EXPECTED))
def test_what_is_pinned(name):
    assert read((CORPUS / name).read_bytes(), f'deploy/{name}') == EXPECTED[name]


@pytest.mark.parametrize('name', TEXTS)
@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32'])
def test_in_every_encoding_and_with_every_line_end_the_same_is_pinned(name, encoding):
    text = (CORPUS / name).read_text(encoding='utf-8')
    for line_end in ('\n', '\r\n', '\r'):
        assert read(text.replace('\n', line_end).encode(encoding), name) == EXPECTED[name]


@pytest.mark.parametrize('name', ['list.json', 'deployment.yaml', 'images.txt'])
def test_standard_input_is_known_by_its_beginning(name):
    assert read((CORPUS / name).read_bytes(), STANDARD_INPUT) == EXPECTED[name]


def test_a_text_in_an_old_encoding_is_read():
    assert read('# für alle\nmyreg.azurecr.io/a:1\n'.encode('latin-1'), 'x.txt')['pins'] == ['2 a:1']


def test_without_the_c_library_yaml_is_read_the_same_way(monkeypatch):
    monkeypatch.setattr(syntax, '_LOADER', yaml.SafeLoader)
    for name in TEXTS:
        if name.endswith(('.yaml', '.yml')) and name != 'template.yaml':  # the words of its error differ
            assert read((CORPUS / name).read_bytes(), name) == EXPECTED[name]


@pytest.mark.parametrize('name', [name for name in TEXTS if name.endswith('.json')])
def test_half_a_json_is_always_a_problem(name):
    data = (CORPUS / name).read_bytes().rstrip()
    for cut in range(1, len(data), 37):
        found = read_pins(data[:cut], name, NAMES)
        assert found.problems or not data[:cut].strip(b' \n\r\t/*abcdefghijklmnopqrstuvwxyzFVSC'), cut


def test_functions_that_double_what_they_say_end():
    text = 'a/b:1'
    for _ in range(60):
        text = f'!Sub ["${{a}}${{a}}", {{a: {text}}}]'
    assert read(f'x: {text}\nimage: !Sub myreg.azurecr.io/a:1\n'.encode(), 'x.yaml')['pins'] == ['2 a:1']


def large(kind: str) -> str:
    pods = [f'image: myreg.azurecr.io/team/app{number}:v{number}' for number in range(5_000)]
    if kind == 'x.json':
        return json.dumps({'items': [{'spec': {'image': pod[7:], 'padding': 'x' * 900}} for pod in pods]}, indent=2)
    if kind == 'x.yaml':
        return '\n'.join(f'- spec:\n    {pod}\n    padding: {"x" * 900}' for pod in pods)
    return '\n'.join(f'{pod} {"x" * 900}' for pod in pods)


@pytest.mark.parametrize('kind', KINDS[:6])
def test_a_file_of_5_mb_is_read_whole_and_in_time(kind):
    data = large(kind).encode()
    assert len(data) > 4_500_000
    start = time.process_time()
    found = read_pins(data, kind, NAMES)
    assert time.process_time() - start < 60
    assert len(found.pins) == 5_000 and not found.problems


@pytest.mark.parametrize(
    'unit',
    [
        '[',
        '{',
        '{"a":',
        '- ',
        '? ',
        '&a ',
        '*a ',
        '"',
        "'",
        '/*',
        '//',
        '\\',
        '|\n',
        '!!',
        '%',
        '${A',
        '$A',
        '[[',
        "['",
        'a: ',
        'a:\n',
        '{{',
        '\n',
        '\r',
        '\t',
        'FROM ',
        'ARG A=$A\n',
        'ARG A=$A$A',
        'variable "a" { default',
        "param a = '",
        'concat(',
        '[concat(',
        "[concat('a',",
        'myreg.azurecr.io/',
        'a: &a [*a]\n',
        '<<: *a\n',
        '- &a\n',
        '\0',
        '\ufeff',
        'é',
    ],
)
def test_what_never_ends_or_nests_without_end_has_an_end(unit):
    text = unit * (2_000 // len(unit))
    for kind in READERS:
        start = time.process_time()
        read_pins(text.encode(), kind, NAMES)
        read_pins(f'"{text}": "{text}"'.encode(), kind, NAMES)
        assert time.process_time() - start < 60, f'{kind}, which takes a hundredth of that'


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        (
            'x.ts',
            'let obj = cfg;\nobj = obj.a; obj = obj.b; obj = obj.c; obj = obj.d; obj = obj.e; obj = obj.f;\n'
            'const img = `${obj.registry}/${obj.repo}:${obj.tag}`;\n',
        ),
        (
            'representer.py',
            'class SafeRepresenter:\n    def represent_complex(self, data):\n        if data.imag == 0.0:\n'
            "            data = '%r' % data.real\n        elif data.real == 0.0:\n"
            "            data = '%rj' % data.imag\n"
            "        elif data.imag > 0:\n            data = '%r+%rj' % (data.real, data.imag)\n"
            "        else:\n            data = '%r%rj' % (data.real, data.imag)\n"
            "        return self.represent_scalar('tag:yaml.org,2002:python/complex', data)\n",
        ),
        (
            'x.js',
            'let node = root;\n' + 'node = node.next;\nnode = node.prev;\n' * 40 + 'pull(`${node.a}/${node.b}:1`);\n',
        ),
    ],
)
def test_names_that_are_given_parts_of_themselves_take_no_time(name, text):
    start = time.process_time()
    read_pins(text.encode(), name, NAMES)
    assert time.process_time() - start < 10, f'{name}, which takes a hundredth of that'


SHAPES = [(name, (CORPUS / name).read_bytes()) for name in sorted(EXPECTED)] + [
    (name if name != '-' else STANDARD_INPUT, text.encode()) for case in cases() for name, text in case.files.items()
]

PIECES = st.sampled_from(
    [
        'oci://',
        '--set a.b=',
        ' --version ',
        '<image>',
        '</image>',
        'REPOSITORY  TAG\n',
        ' + ',
        ' % ',
        'f"',
        'format(',
        'join(',
        ').',
        '=> ',
        '? ',
        'printf "%s" ',
        '{% ',
        '"""',
        '<<EOT\n',
        '\nEOT\n',
        'template: {',
        '(',
        ')',
        ' = ',
        'myreg.azurecr.io/',
        'myreg.azurecr.io/team/app:v1',
        '@sha256:' + 'a' * 64,
        ':',
        '@',
        '/',
        '${',
        '}',
        '{{',
        '}}',
        '$(',
        ')',
        '$A',
        'image: ',
        'repository: ',
        'tag: ',
        'digest: ',
        '"',
        "'",
        '[',
        ']',
        '{',
        '}',
        ',',
        '\n',
        '\n- ',
        '\n  ',
        '---\n',
        '&a ',
        '*a',
        '<<: ',
        '|\n ',
        '>\n ',
        '!!binary ',
        'FROM ',
        'ARG A=',
        'variable "A" {',
        'default = "',
        "param A = '",
        "[concat('",
        "parameters('A')",
        'pkg:oci/a@',
        '?repository_url=',
        '%3A',
        '\\u',
        '\\',
        '//',
        '/*',
        '#',
        '\0',
        '\x1b',
        '\ud800',
        'é',
        '\u2028',
        '\ufeff',
        '1',
        'a',
    ]
)


@examples(400, *HealthCheck)
@given(st.lists(PIECES | st.text(max_size=5), max_size=30).map(''.join), st.sampled_from(READERS))
def test_no_text_makes_a_traceback(text, kind):
    found = read_pins(text.encode('utf-8', 'surrogatepass'), kind, NAMES)
    for pin in found.pins:
        assert 0 <= pin.line <= text.count('\n') + text.count('\r') + 1
    for problem in found.problems:
        assert str(problem).isprintable()
    assert merged([found, found]) == merged([found])


@examples(300)
@given(st.binary(max_size=300), st.sampled_from(READERS))
def test_no_bytes_make_a_traceback(data, kind):
    read_pins(data, kind, NAMES)


@examples(200)
@given(st.sampled_from(SHAPES), st.data())
def test_no_damage_to_a_real_file_makes_a_traceback(shape, data):
    name, text = shape[0], bytearray(shape[1])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        text[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=4))
    read_pins(bytes(text), name, NAMES)


NAME = st.from_regex(r'[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,2}', fullmatch=True)
TAG = st.from_regex(r'[A-Za-z0-9_][A-Za-z0-9._]{0,10}[A-Za-z0-9]', fullmatch=True).filter(
    lambda tag: not tag.startswith('__')
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@examples(200)
@given(ANYTHING, NAME, TAG, st.booleans(), st.sampled_from(['json', 'indented', 'yaml', 'flow']))
def test_an_image_is_found_wherever_it_stands_in_a_document(around, name, tag, split, form):
    image = (
        {'registry': 'myreg.azurecr.io', 'repository': name, 'tag': tag}
        if split
        else {'image': f'myreg.azurecr.io/{name}:{tag}'}
    )
    document = {'before': around, 'items': [around, {'deep': image}], 'after': around}
    text = {
        'json': json.dumps,
        'indented': lambda given: json.dumps(given, indent='\t', ensure_ascii=False),
        'yaml': yaml.safe_dump,
        'flow': lambda given: yaml.safe_dump(given, default_flow_style=True),
    }[form](document)
    kind = 'x.yaml' if form in ('yaml', 'flow') else 'x.json'
    found = read_pins(text.encode('utf-8', 'surrogatepass'), kind, NAMES)
    assert (name, tag) in {(pin.reference.repository, pin.reference.tag) for pin in found.pins}


@pytest.mark.parametrize(
    'text', ['${a b}', '${${a} b}', '[concat(' + 'x' * 5_000 + ')]', '${{ a || a }}', '{{ a | a }}']
)
def test_an_expression_that_means_itself_ends(text):
    for kind in READERS:
        read_pins(f'image: "myreg.azurecr.io/a:{text}"\na: "{text}"\nb = "{text}"\n{text}/x:1'.encode(), kind, NAMES)
