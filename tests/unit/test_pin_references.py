"""Image references, in all spellings."""

from __future__ import annotations

import time

import pytest

from azext_acrprune.pins.read import read_pins
from azext_acrprune.pins.references import (
    NO_TAG,
    Reference,
    RegistryNames,
    Unresolved,
    find_references,
    mentions,
    reference_to,
    split_repository,
)

NAMES = RegistryNames('myreg.azurecr.io', ('images.contoso.com',))
DIGEST = 'sha256:' + 'ab' * 32


def found(text, names=NAMES):
    return find_references(text, names)


@pytest.mark.parametrize(
    'text',
    [
        'myreg.azurecr.io/team/app:v1',
        'MYREG.AzureCR.io/team/app:v1',
        'myreg.azurecr.io:443/team/app:v1',
        'myreg.azurecr.io./team/app:v1',
        'images.contoso.com/team/app:v1',
        'https://images.contoso.com/team/app:v1',
        'docker://myreg.azurecr.io/team/app:v1',
        'oci://myreg.azurecr.io/team/app:v1',
        'docker-pullable://myreg.azurecr.io/team/app:v1',
        'myreg.westeurope.data.azurecr.io/team/app:v1',
        'myreg.westeurope.geo.azurecr.io/team/app:v1',
        'myreg.azurecr.io/Team/App:v1',
        ' myreg.azurecr.io/team/app:v1\r',
        'https://myreg.azurecr.io/v2/team/app/manifests/v1',
        '"image":"myreg.azurecr.io/team/app:v1"',
        r'\"image\":\"myreg.azurecr.io/team/app:v1\"',
        r'a\nmyreg.azurecr.io/team/app:v1',
        '(myreg.azurecr.io/team/app:v1)',
        'docker run --rm myreg.azurecr.io/team/app:v1 sh',
        'pkg:docker/team/app@v1?repository_url=myreg.azurecr.io',
        'pkg:oci/app?repository_url=myreg.azurecr.io/team/app&tag=v1',
    ],
)
def test_a_tag_in_every_spelling(text):
    assert found(text) == [Reference('team/app', 'v1')]


@pytest.mark.parametrize(
    'text',
    [
        f'myreg.azurecr.io/app@{DIGEST}',
        f'myreg.azurecr.io/app@{DIGEST.upper()}',
        f'https://myreg.azurecr.io/v2/app/manifests/{DIGEST}',
        f'pkg:oci/app@{DIGEST.replace(":", "%3A")}?repository_url=myreg.azurecr.io/app',
        f'pkg:oci/app@{DIGEST}?arch=amd64&repository_url=myreg.azurecr.io%2Fapp',
    ],
)
def test_a_digest_in_every_spelling(text):
    assert found(text) == [Reference('app', None, DIGEST)]


@pytest.mark.parametrize('name', ['v2/app', 'oauth2/proxy', 'acr/v1', 'acr/v1/app', 'v2/token'])
def test_a_repository_may_begin_as_paths_of_the_api_do(name):
    for text in (f'myreg.azurecr.io/{name}', f'docker://myreg.azurecr.io/{name}'):
        assert found(f'{text}:1.0') == [Reference(name, '1.0')]
        assert found(f'{text}@{DIGEST}') == [Reference(name, None, DIGEST)]
    assert found(f'run $ACR/{name}:1.0') == [Reference(name, '1.0', certain=False)]


@pytest.mark.parametrize(
    'path',
    [
        'v2/',
        'v2/_catalog',
        'v2/team/app/tags/list',
        f'v2/team/app/blobs/{DIGEST}',
        f'v2/team/app/referrers/{DIGEST}',
        'oauth2/token',
        'oauth2/exchange?service=x',
        'acr/v1/_catalog',
        'acr/v1/team/app/_tags/v1',
        f'acr/v1/team/app/_manifests/{DIGEST}',
    ],
)
def test_a_path_of_the_api_is_no_image(path):
    for text in (f'https://myreg.azurecr.io/{path}', f'curl -s myreg.azurecr.io/{path}', f'curl $ACR/{path}'):
        assert found(text) == []
    assert not any(isinstance(finding, Reference) for finding in found('https://myreg.azurecr.io/v2/team/app:1.0'))


def test_a_tag_and_a_digest():
    assert found(f'myreg.azurecr.io/app:v1@{DIGEST}') == [Reference('app', 'v1', DIGEST)]


@pytest.mark.parametrize(
    'text',
    [
        'nginx:1.25',
        'docker.io/library/nginx',
        'notmyreg.azurecr.io/app:v1',
        'other.azurecr.io/app:v1',
        'x.myreg.azurecr.io/app:v1',
        'myreg.azurecr.io.evil.com/app:v1',
        'myreg.azurecr.io',
        'https://myreg.azurecr.io/',
        'myreg-azurecr.io/app',
        'myregXazurecr.io/app:v1',
        'images.contoso.com.au/app:v1',
        '${X}.gcr.io/app:v1',
        '${PWD}/src:/app',
        '$HOME/bin:$PATH',
        '',
        'pkg:oci/app@1?repository_url=other.io/app',
        'pkg:oci/%ff@?repository_url',
    ],
)
def test_what_is_of_no_or_another_registry_is_not_found(text):
    assert found(text) == []


def test_without_a_tag_it_is_latest_where_it_is_all_that_is_said_or_is_run():
    assert found('myreg.azurecr.io/app') == [Reference('app', 'latest')]
    assert find_references('docker run myreg.azurecr.io/app sh', NAMES, runs=True) == [Reference('app', 'latest')]


@pytest.mark.parametrize('text', ['see https://myreg.azurecr.io/app.', 'oci://myreg.azurecr.io/charts/app'])
def test_without_a_tag_anything_else_is_no_guess_but_unresolved(text):
    (finding,) = found(text)
    assert isinstance(finding, Unresolved) and finding.why == NO_TAG


def test_the_end_of_a_sentence_may_be_a_part_of_the_tag():
    assert found('We run myreg.azurecr.io/app:v1.') == [Reference('app', 'v1.', certain=False), Reference('app', 'v1')]


@pytest.mark.parametrize(
    'tag',
    [
        '${TAG}',
        '{{ .Values.image.tag }}',
        '$(Build.BuildId)',
        '${{ github.sha }}',
        '$TAG',
        '#{TAG}#',
        '__TAG__',
        '{tag}',
        'v1-${TAG}',
        '<tag>',
        '%TAG%',
        '${var.tag}',
        '-bad',
        'x' * 129,
    ],
)
def test_a_tag_that_is_not_known_is_unresolved(tag):
    (finding,) = found(f'image: myreg.azurecr.io/app:{tag}')
    assert isinstance(finding, Unresolved) and 'tag' in finding.why


def test_a_repository_or_digest_that_is_not_known_is_unresolved():
    assert 'repository' in found('myreg.azurecr.io/${NAME}:v1')[0].why
    assert 'digest' in found('myreg.azurecr.io/app@${DIGEST}')[0].why
    assert 'digest' in found('myreg.azurecr.io/app@')[0].why
    assert 'digest' in found('myreg.azurecr.io/app@sha256:abcd')[0].why


def test_what_is_known_beside_an_unknown_digest_is_pinned():
    unresolved, reference = found('myreg.azurecr.io/app:v1@${DIGEST}')
    assert isinstance(unresolved, Unresolved) and reference == Reference('app', 'v1')


@pytest.mark.parametrize(
    'host',
    [
        '${REGISTRY}',
        '$REGISTRY',
        '{{ .Values.registry }}',
        '$(acr)',
        '${ACR}.azurecr.io',
        '${{ env.REGISTRY }}',
        'my${X}.azurecr.io',
        '$Registry',
        '<registry>.azurecr.io',
    ],
)
def test_a_host_that_is_not_known_may_be_this_registry(host):
    assert found(f'{host}/app:v1') == [Reference('app', 'v1', certain=False)]
    assert found(f'{host}/app@{DIGEST}') == [Reference('app', None, DIGEST, certain=False)]
    assert found(f'{host}/app') == []


@pytest.mark.parametrize('host', ['${REGISTRY}', '{{ .Values.registry }}', '$(acr)', 'my${X}.azurecr.io'])
def test_a_host_and_a_tag_that_are_not_known_are_unresolved_and_never_nothing(host):
    (finding,) = found(f'image: {host}/app:$TAG')
    assert isinstance(finding, Unresolved) and 'tag' in finding.why


@pytest.mark.parametrize(
    'text',
    ['myreg.azurecr.io/*', 'myreg.azurecr.io/team/*:v*', 'myreg.azurecr.io/team/(a|b)', 'https://myreg.azurecr.io/v2/'],
)
def test_patterns_and_addresses_are_no_images(text):
    assert found(text) == []


@pytest.mark.parametrize('follows', ['|myreg.azurecr.io/b:2', '?pull=always', '(production)', '[linux]', '|b', '?'])
def test_an_image_that_is_whole_is_none_of_a_pattern(follows):
    assert Reference('app', '1.0', certain=False) in found(f'images: myreg.azurecr.io/app:1.0{follows}')
    assert Reference('app', None, DIGEST, False) in found(f'images: myreg.azurecr.io/app@{DIGEST}{follows}')


@pytest.mark.parametrize('pattern', ['team/app:1.*', 'team/app|b', 'team/[ab]:1', 'team/app:^1', 'app:1.^', 'app?x=1'])
def test_a_pattern_is_no_image(pattern):
    assert found(f'allow: myreg.azurecr.io/{pattern}') == []


@pytest.mark.parametrize(
    ('text', 'names_it'),
    [
        ('myreg.azurecr.io', True),
        ('https://myreg.azurecr.io/', True),
        ('registry: MYREG.azurecr.io:443', True),
        ('images.contoso.com', True),
        ('myreg.azurecr.io.evil.com', False),
        ('notmyreg.azurecr.io', False),
        ('myreg.azurecr.io/*', False),
        ('https://myreg.azurecr.io/v2/', False),
    ],
)
def test_a_text_that_names_the_registry(text, names_it):
    assert mentions(text, NAMES) is names_it


def test_a_login_server_without_dots_and_with_a_port():
    names = RegistryNames('localhost:5000')
    assert found('localhost:5000/app:v1', names) == [Reference('app', 'v1')]
    assert found('xlocalhost:5000/app:v1 a.localhost/app:v1', names) == []


def test_several_in_one_line_each_once():
    text = f'myreg.azurecr.io/a:1,myreg.azurecr.io/b@{DIGEST};myreg.azurecr.io/a:1'
    assert found(text) == [Reference('a', '1'), Reference('b', None, DIGEST)]


def test_the_parts_of_a_reference_alone():
    assert split_repository('oci://myreg.azurecr.io/team/app', NAMES) == 'team/app'
    assert split_repository('myreg.azurecr.io/team/app:v1', NAMES) is None
    assert split_repository('nginx', NAMES) is None
    assert split_repository('myreg.azurecr.io/v2/app', NAMES) == 'v2/app'
    assert split_repository('https://myreg.azurecr.io/v2/app', NAMES) is None
    assert reference_to('app', None, 'ab') == Unresolved('app@ab', 'its digest is not spelled like one')
    assert NAMES.has('MyReg.azurecr.io:443') and not NAMES.has('other.azurecr.io')


@pytest.mark.parametrize(
    'unit',
    [
        'a',
        'a.',
        '${',
        '{{',
        '{{ a',
        '$a',
        'myreg.azurecr.io',
        'myreg.azurecr.io/',
        'myreg.',
        'myreg.azurecr.io/a',
        '<a',
        '%a',
        '#{',
        '${a}',
        '${a}.',
        'pkg:oci/',
        '/a:',
        '@',
        'a-',
        'myreg.azurecr.io/${a}',
        '$(a',
        '{a',
        '\\n',
    ],
)
def test_no_long_line_takes_long(unit):
    text = unit * (500_000 // len(unit))
    start = time.process_time()
    found(text)
    found(text + '/')
    assert time.process_time() - start < 20


def test_an_image_that_two_names_of_the_registry_were_joined_to_may_be_the_one_behind_them():
    text = 'variable "reg" { default = "myreg.azurecr.io" }\nimage = "${var.reg}/myreg.azurecr.io/team/app:v1"\n'
    found = read_pins(text.encode(), 'main.tf', RegistryNames('myreg.azurecr.io'))
    assert {pin.reference.shown for pin in found.pins} == {'team/app:v1', 'myreg.azurecr.io/team/app:v1'}
    assert not any(pin.reference.certain for pin in found.pins)
