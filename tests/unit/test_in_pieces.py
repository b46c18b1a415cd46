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


def test_a_digest_counts_wherever_it_stands():
    other = f'sha256:{"e" * 64}'
    of = Repository('hr/payroll', {digest: Manifest(digest, Content(100)) for digest in (DIGEST, other)})
    for text in (f'sum: {DIGEST}\n', f'target: hr/leave\nsum: {"0" * 64}\n'):
        assert pinned({'a/a.yaml': 'target: hr/payroll:1\n', 'b.yaml': text}, of) == [
            f'hr/payroll@{DIGEST} b.yaml:{text.count(chr(10))}'
        ]
    assert not pinned({'a.yaml': f'target: hr/payroll\nsum: sha256:{"1" * 64}\n# {DIGEST}\n'}, of)


def test_a_digest_that_a_pin_has_counts_for_that_repository_and_for_those_that_are_named_beside_it():
    every = [
        Repository(name, {DIGEST: Manifest(DIGEST, Content(100))}) for name in ('hr/payroll', 'hr/leave', 'hr/pay')
    ]
    text = f'image: myreg.azurecr.io/hr/payroll@{DIGEST}\ncopy: hr/leave\n'
    read = read_pins(text.encode(), 'a.yaml', NAMES).pins
    assert pinned({'a.yaml': text}, *every, of_readers=read) == [f'hr/leave@{DIGEST} a.yaml:2']


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


def test_the_tag_may_stand_in_another_file_of_the_folder():
    of = repository('hr/payroll', '3.6.0', 'stable')
    assert pinned({'a/x.yaml': 'target: hr/payroll\n', 'a/y.yaml': 'build: 3.6.0\nchannel: stable\n'}, of) == [
        'hr/payroll:3.6.0 a/x.yaml:1'
    ]
    assert not pinned({'a/x.yaml': 'target: hr/payroll\n', 'b/y.yaml': 'build: 3.6.0\n'}, of)


@pytest.mark.parametrize(
    ('path', 'text'),
    [
        ('deploy.sh', 'terraform apply -auto-approve -var tag=3.6.0\n'),
        ('up.sh', 'TAG=3.6.0 docker compose up -d\n'),
        ('envs/prod/values.yaml', 'image:\n  pullPolicy: Always\n  tag: 3.6.0\n'),
        ('envs/prod/images.tfvars', 'image_tags = {\n  web = "3.5.9"\n  payroll = "3.6.0"\n}\n'),
        ('release.tf', 'set {\n  name = "image.tag"\n  value = "3.6.0"\n}\n'),
        ('app.yaml', 'parameters:\n- name: image.tag\n  value: 3.6.0\n'),
        ('vars.json', '{"payroll": {"appVersion": "3.6.0"}}'),
    ],
)
def test_a_tag_at_a_name_of_one_may_stand_in_any_file(path, text):
    of = repository('hr/payroll', '3.6.0', '3.5.0')
    assert pinned({'modules/app/x.yaml': 'target: hr/payroll\n', path: text}, of) == [
        'hr/payroll:3.6.0 modules/app/x.yaml:1'
    ]
    assert pinned({'modules/app/x.yaml': 'target: myreg.azurecr.io/api\n', path: text}, repository('api', '3.6.0'))
    assert not pinned({'modules/app/x.yaml': 'target: api\n', path: text}, repository('api', '3.6.0'))


@pytest.mark.parametrize('path', ['web/package-lock.json', 'web/package.json', 'web/pnpm-lock.yaml', 'Cargo.toml'])
def test_versions_and_checksums_of_libraries_are_none_of_images(path):
    text = f'{{"version": "3.6.0", "hash": "{DIGEST}"}}'
    of = replace(repository('hr/payroll', '3.6.0'), manifests={DIGEST: Manifest(DIGEST, Content(100))})
    assert not pinned({'a/x.yaml': 'target: hr/payroll\n', path: text}, of)


def test_only_an_image_that_stands_in_the_same_file_in_one_piece_says_all_of_a_repository():
    of = repository('hr/payroll', '3.6.0', '3.5.0', '1')
    whole = 'image: myreg.azurecr.io/hr/payroll:3.5.0\ncopy: hr/payroll\nbuild: 3.6.0\nreplicas: 1\n'
    default = 'image: myreg.azurecr.io/hr/payroll:${TAG:-3.5.0}\nbuild: 3.6.0\nreplicas: 1\n'
    put_together = 'image: {repository: myreg.azurecr.io/hr/payroll, tag: 3.5.0}\nbuild: 3.6.0\nreplicas: 1\n'
    assert not pinned({'a.yaml': whole}, of, of_readers=read_pins(whole.encode(), 'a.yaml', NAMES).pins)
    for text in (default, put_together):
        found = pinned({'a.yaml': text}, of, of_readers=read_pins(text.encode(), 'a.yaml', NAMES).pins)
        assert found == ['hr/payroll:3.5.0 a.yaml:1', 'hr/payroll:3.6.0 a.yaml:1']
    uncertain = Pin(Reference('hr/payroll', '3.5.0', certain=False), 'a.yaml', 1)
    assert pinned({'a.yaml': APART}, of, of_readers=(uncertain,))


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
    found = read_pins(b'image: myreg.azurecr.io/hr/payroll:3.5.0\n', 'a.yaml', NAMES)
    assert may_be_named(Pins(found.pins, words=found.words), ['hr/payroll']) == []


def test_a_digest_alone_may_be_of_any_repository():
    found = read_pins(f'image: myreg.azurecr.io/hr/payroll@{DIGEST}\n'.encode(), 'a.yaml', NAMES)
    assert may_be_named(Pins(found.pins, words=found.words), ['hr/payroll', 'hr/leave']) == []
    loose = read_pins(f'ROLLBACK={DIGEST}\n'.encode(), 'b.env', NAMES)
    assert may_be_named(Pins(words=loose.words), ['hr/payroll', 'hr/leave']) == ['hr/payroll', 'hr/leave']


@pytest.mark.parametrize('path', ['README.md', 'renovate.json'])
def test_what_is_for_people_or_watches_names_nothing(path):
    assert not pinned({path: '{"target": "hr/payroll", "build": "3.6.0"}'}, repository('hr/payroll', '3.6.0'))
