"""In a list of pods too large to wait for values, what says nothing is passed over, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from azext_acrprune.pins.read import read_pins
from azext_acrprune.pins.references import RegistryNames
from azext_acrprune.pins.silent import is_dull, is_silent
from azext_acrprune.pins.syntax import (
    END_OF_DOCUMENT,
    FLAT_MAPPING,
    BadSyntax,
    json_events,
    json_events_of_lists,
    within,
)
from tests.examples import examples

NAMES = RegistryNames('myreg.azurecr.io')
DIGEST = f'sha256:{"1" * 64}'


@pytest.fixture(autouse=True)
def every_file_is_large(monkeypatch):
    monkeypatch.setattr('azext_acrprune.pins.read._MOST_PATIENCE', 0)


def pinned(document):
    text = json.dumps(document, indent=1)
    found = read_pins(text.encode(), 'list.json', NAMES)
    lines = json.dumps(document, indent=1).split('\n')
    return {(pin.reference.shown, lines[pin.line - 1].strip()) for pin in found.pins}, [
        p.message for p in found.problems
    ]


@pytest.mark.parametrize(
    ('item', 'expected'),
    [
        ({'image': 'myreg.azurecr.io/app:1', 'name': 'web'}, {'app:1'}),
        ({'name': 'web', 'imageID': f'docker-pullable://myreg.azurecr.io/app@{DIGEST}'}, {f'app@{DIGEST}'}),
        ({'registry': 'myreg.azurecr.io', 'repository': 'app', 'tag': '1'}, {'app:1'}),
        ({'name': 'myreg.azurecr.io/app', 'newTag': '1'}, {'app:1'}),
        ({'repository': 'myreg.azurecr.io/app', 'version': '1'}, {'app:1'}),
        ({'script': 'a=1\ndocker pull myreg.azurecr.io/app:1'}, {'app:1'}),
        ({'command': 'run --image=myreg.azurecr.io/app:1'}, {'app:1'}),
        ({'any': '{"image": "myreg.azurecr.io/app:1"}'}, {'app:1'}),
        ({'any': 'image.repository=myreg.azurecr.io/app,image.tag=1'}, {'app:1'}),
        ({'myreg.azurecr.io/app:1': 'key'}, {'app:1'}),
        ({'image.repository': 'myreg.azurecr.io/app', 'image.tag': '1'}, {'app:1'}),
        ({'purl': 'pkg:oci/app?repository_url=myreg.azurecr.io/app&tag=1'}, {'app:1'}),
        ({'any': 'aW1hZ2U6IG15cmVnLmF6dXJlY3IuaW8vYXBwOjEKYTogYgo='}, {'app:1'}),
        ({'type': 'Ready', 'status': 'True', 'lastTransitionTime': '2026-01-01T00:00:00Z'}, set()),
        ({'mountPath': '/var/run', 'name': 'token'}, set()),
    ],
)
def test_a_flat_item_of_a_list_says_as_much_in_a_large_file(item, expected):
    pins, problems = pinned({'items': [{'conditions': [{'type': 'Ready'}, item, item]}]})
    assert {name for name, _ in pins} == expected and problems == []


def test_the_line_of_what_stands_in_a_flat_item_is_right():
    pins, _ = pinned({'items': [{'images': [{'type': 'Ready'}, {'n': 1, 'image': 'myreg.azurecr.io/app:1'}]}]})
    assert pins == {('app:1', '"image": "myreg.azurecr.io/app:1"')}


def test_values_that_a_list_gives_to_names_are_filled_in():
    container = {
        'env': [{'name': 'TAG', 'value': '5'}, {'name': 'MODE', 'value': 'a'}],
        'args': ['--image=myreg.azurecr.io/app:$(TAG)'],
    }
    pins, problems = pinned({'items': [{'spec': {'containers': [container, container]}}]})
    assert {name for name, _ in pins} == {'app:5'} and problems == []


def test_what_a_list_below_the_name_of_an_image_says_is_read():
    pins, problems = pinned({'items': [{'images': {'myreg.azurecr.io/app': [{'tag': '1', 'other': 'y'}]}}]})
    assert {name for name, _ in pins} == {'app:1'} and problems == []


def test_a_registry_that_stands_alone_is_said():
    _, problems = pinned({'items': [{'list': [{'registry': 'myreg.azurecr.io'}, {'type': 'Ready'}]}]})
    assert problems == ["'myreg.azurecr.io' names this registry, and no image with it can be read"]


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('http://x/y', True),
        ('/var/run', True),
        ('nginx:1', True),
        ('docker.io/library/nginx:1', True),
        ('team/app:1', False),  # a registry around may be its own
        ('{{ registry }}/app:1', False),
        ('<registry>/app:1', False),
        ('app:$(TAG)', False),
        ('myreg.azurecr.io', False),
        ('https://myreg.azurecr.io/', False),
        ('myreg.azurecr.io/app', False),
        ('myreg.westeurope.data.azurecr.io/app:1', False),
        ('x' * 301, False),
    ],
)
def test_what_is_silent(text, expected):
    assert is_silent(text, NAMES) is expected


@pytest.mark.parametrize(
    ('key', 'mapping'),
    [
        ('env', '{"name": "A", "value": "b"}'),
        ('env', '{"x": "b"}'),
        ('conditions', '{"name": "A", "value": "b"}'),
        ('conditions', '{"tag": "b"}'),
        ('conditions', '{"type": a}'),
        ('conditions', '{"hub": "x", "type": "y"}'),
        ('list', '{"x": "b"}'),
    ],
)
def test_what_means_something_for_others_is_not_dull(key, mapping):
    assert is_dull('conditions', '{"type": "Ready", "n": 1}', NAMES)
    assert not is_dull(key, mapping, NAMES)


def events_of(events):
    try:
        yield from events
    except BadSyntax as error:
        yield error.line


def opened(events):
    for event in events:
        if event.kind == FLAT_MAPPING:
            yield from within(event)
        else:
            yield event


JSON = st.recursive(
    st.one_of(st.text('ab/"\\\n{}[]', max_size=5), st.integers(0, 9), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text('a"{', max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@examples(300)
@example({'': None}, 1)
@given(JSON, st.sampled_from([None, 1]))
def test_flat_items_have_the_events_that_they_would_have_had(document, indent):
    text = json.dumps(document, indent=indent)
    assert list(opened(json_events_of_lists(text))) == list(json_events(text))


@examples(300)
@given(st.text('{}[]":,a1/\\\n ', max_size=30))
def test_so_have_those_of_what_is_no_json(text):
    assert list(events_of(opened(json_events_of_lists(text)))) == list(events_of(json_events(text)))


def test_each_of_several_documents_ends():
    text = '{"a": 1}\n{"a": [{"b": 2}]}'
    ends = [event.line for event in json_events_of_lists(text) if event.kind == END_OF_DOCUMENT]
    assert ends == [1, 2]
