"""Images that a file names in pieces: the registry decides whether there is such a thing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_acrprune.model import Content, Manifest, Repository, Tag
from azext_acrprune.pins.in_pieces import may_be_named, with_joined
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.read import read_pins
from azext_acrprune.pins.references import Reference, RegistryNames

NAMES = RegistryNames('myreg.azurecr.io')
DIGEST = f'sha256:{0:064}'


def repository(name: str, *tags: str) -> Repository:
    return Repository(name, {}, tags={tag: Tag(tag, DIGEST) for tag in tags})


def pinned(texts: dict[str, str], *repositories: Repository, of_readers: tuple[Pin, ...] = ()) -> list[str]:
    """What files pin only because the registry has it, as `repository:tag file:line`."""
    words = tuple(words for path, text in texts.items() for words in read_pins(text.encode(), path, NAMES).words)
    found = with_joined(Pins(of_readers, words=words), repositories).pins[len(of_readers) :]
    assert not any(pin.reference.certain for pin in found)
    return [f'{pin.reference.shown} {pin.where}' for pin in found]


APART = """\
hosts:
  target: hr/payroll
  build: 3.6.0
"""


def test_a_repository_and_a_tag_of_it_in_one_file_belong_together():
    assert pinned({'a.yaml': APART}, repository('hr/payroll', '3.6.0', '3.5.0'), repository('hr', '1.0.0')) == [
        'hr/payroll:3.6.0 a.yaml:2'
    ]


def test_a_tag_that_only_the_manifest_listing_shows_counts_too():
    manifest = Manifest(DIGEST, Content(100), ('3.6.0',))
    assert pinned({'a.yaml': APART}, Repository('hr/payroll', {DIGEST: manifest})) == ['hr/payroll:3.6.0 a.yaml:2']


def test_a_digest_counts_beside_its_repository_and_nowhere_else():
    other = f'sha256:{"e" * 64}'
    of = Repository('hr/payroll', {digest: Manifest(digest, Content(100)) for digest in (DIGEST, other)})
    text = f'target: hr/payroll\nbuild: 3.6.0\nsum: {DIGEST}\n'
    assert pinned({'a.yaml': text}, of) == [f'hr/payroll@{DIGEST} a.yaml:1']
    assert pinned({'a.yaml': f'team: hr\nunit: payroll\nsum: {"0" * 64}\n'}, of) == [f'hr/payroll@{DIGEST} a.yaml:2']
    assert not pinned({'a/a.yaml': 'target: hr/payroll\n', 'b.yaml': f'sum: {DIGEST}\n'}, of)
    assert not pinned({'a.yaml': f'target: hr/leave\nsum: {DIGEST}\n'}, of)


@pytest.mark.parametrize(
    'text',
    [
        'names: [myreg.azurecr.io/hr, payroll]\nbuild: 3.6.0\n',
        'team: hr\nunit: payroll\nbuild: 3.6.0\n',
        'text: "%s/hr/payroll"\nbuild: 3.6.0\n',
        'text: "${WHERE}/hr/payroll and 3.6.0"\n',
        'at: MyReg.azurecr.io/hr/payroll\nbuild: 3.6.0.\n',
    ],
)
def test_however_it_is_in_pieces(text):
    assert len(pinned({'a.txt': text}, repository('hr/payroll', '3.6.0'))) == 1


@pytest.mark.parametrize(
    'text',
    [
        'target: hr/payrolls\nbuild: 3.6.0\n',
        'target: hr/payroll\nbuild: 3.6.01\n',
        'target: quay.io/hr/payroll\nbuild: 3.6.0\n',
        '# target: hr/payroll\nbuild: 3.6.0\n',
        'target: hr/payroll # was 3.6.0\n',
        'team: hr\nbuild: 3.6.0\n',
        'team: hr\nunit: payroll\nbuild: v6\n',
        'target: hr/payroll\n',
    ],
)
def test_other_words_comments_and_small_words_are_nothing(text):
    assert not pinned({'a.yaml': text}, repository('hr/payroll', '3.6.0', 'v6'))


def test_a_word_as_tag_counts_beside_a_repository_in_one_word_alone():
    stable = repository('hr/payroll', 'stable')
    assert pinned({'a.yaml': 'target: hr/payroll\nchannel: stable\n'}, stable)
    assert not pinned({'a.yaml': 'team: hr\nunit: payroll\nchannel: stable\n'}, stable)


def test_a_repository_of_one_step_needs_a_tag_like_no_other_word():
    api = repository('api', '3.6.0', '3.6', 'main')
    assert pinned({'a.yaml': 'unit: api\nbuild: 3.6.0\n'}, api) == ['api:3.6.0 a.yaml:1']
    assert not pinned({'a.yaml': 'unit: api\nbuild: "3.6"\nbranch: main\n'}, api)


def test_the_tag_may_stand_in_another_file_of_the_folder_and_of_no_other():
    of = repository('hr/payroll', '3.6.0', 'stable')
    assert pinned({'a/x.yaml': 'target: hr/payroll\n', 'a/y.yaml': 'build: 3.6.0\nchannel: stable\n'}, of) == [
        'hr/payroll:3.6.0 a/x.yaml:1'
    ]
    assert not pinned({'a/x.yaml': 'target: hr/payroll\n', 'b/y.yaml': 'build: 3.6.0\n'}, of)


def test_only_a_certain_pin_in_the_same_file_says_all_of_a_repository():
    of, reference = repository('hr/payroll', '3.6.0', '3.5.0'), Reference('hr/payroll', '3.5.0')
    assert not pinned({'a.yaml': APART}, of, of_readers=(Pin(reference, 'a.yaml', 1),))
    assert pinned({'a.yaml': APART}, of, of_readers=(Pin(replace(reference, certain=False), 'a.yaml', 1),))
    for other in ('b.yaml', 'README.md', '<stdin>', 'container app web'):
        assert pinned({'a.yaml': APART}, of, of_readers=(Pin(reference, other, 1),))


def test_a_tag_that_is_new_takes_none_away():
    texts = {'a.py': 'import x\nwhere = "hr/payroll"\n', 'versions.txt': '3.6.0\n'}
    before = pinned(texts, repository('hr/payroll', '3.6.0'))
    assert before and {*before} < {*pinned(texts, repository('hr/payroll', '3.6.0', 'import'))}


@pytest.mark.parametrize(
    'text', ['/* x */ var r = "hr/payroll" + "3.6.0"', '* hr/payroll 3.6.0', 'rem-x: 1\nremote: hr/payroll 3.6.0']
)
def test_what_only_looks_like_a_comment_is_read(text):
    assert pinned({'a.txt': text}, repository('hr/payroll', '3.6.0'))


def test_only_repositories_that_are_named_have_to_be_listed():
    words = read_pins(APART.encode(), 'a.yaml', NAMES).words
    assert may_be_named(Pins(words=words), ['hr/payroll', 'hr/leave', 'build']) == ['hr/payroll', 'build']
    read = Pin(Reference('hr/payroll', '3.5.0'), 'a.yaml', 1)
    assert may_be_named(Pins((read,), words=words), ['hr/payroll']) == []


@pytest.mark.parametrize('path', ['README.md', 'renovate.json'])
def test_what_is_for_people_or_watches_names_nothing(path):
    assert not pinned({path: '{"target": "hr/payroll", "build": "3.6.0"}'}, repository('hr/payroll', '3.6.0'))
