"""Quotes of shells in the middle of an image, wherever a command stands."""

from __future__ import annotations

import pytest

from azext_acrprune.pins.in_pieces import words_of
from azext_acrprune.pins.read import read_pins
from azext_acrprune.pins.references import RegistryNames

NAMES = RegistryNames('myreg.azurecr.io')
PULL = 'docker pull "$ACR".azurecr.io/team/up:v1'
DIGEST = f'sha256:{"a" * 64}'


def pinned(name: str, text: str) -> list[str]:
    found = read_pins(text.encode(), name, NAMES)
    assert not found.problems
    return sorted({pin.reference.shown for pin in found.pins})


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('up.sh', f'ACR=myreg\n{PULL}\n'),
        ('up.sh', f'{PULL}\n'),
        ('up.sh', 'ACR_NAME=myreg\naz containerapp up -n up --image "${ACR_NAME}".azurecr.io/team/up:v1\n'),
        ('up.sh', 'ACR=myreg\nIMAGE="$ACR".azurecr.io/team/up:v1\ndocker pull "$IMAGE"\n'),
        ('up.sh', 'ACR=myreg\nREG="$ACR".azurecr.io\ndocker pull "$REG"/team/up:v1\n'),
        ('up.sh', 'ACR=myreg\nssh host "docker pull \\"$ACR\\".azurecr.io/team/up:v1"\n'),
        ('up.sh', 'REG=myreg.azurecr.io\ndocker pull "$REG"/team/up:v1\n'),
        ('up.sh', 'docker pull "myreg.azurecr.io"/team/up:v1\n'),
        ('up.sh', 'REG=myreg.azurecr.io\necho "Pulling "$REG"/team/up:v1"\n'),
        ('up.sh', 'REG=myreg.azurecr.io\ndocker pull ${REG}/team/up:"v1"\n'),
        ('up.sh', "docker pull myreg.azurecr.io/team/up:'v1'\n"),
        ('up.sh', 'REG=myreg.azurecr.io\nTAG=v1\ndocker pull "$REG"/team/up:"${TAG}"\n'),
        ('up.sh', 'REG=myreg.azurecr.io\nAPP=team/up\ndocker pull "$REG/$APP":v1\n'),
        ('up.sh', 'REG=myreg.azurecr.io\nAPP=team/up\nTAG=v1\ndocker pull "$REG/$APP":"$TAG"\n'),
        ('Makefile', 'ACR := myreg\nup:\n\tdocker pull "$(ACR)".azurecr.io/team/up:v1\n'),
        ('Dockerfile', f'ARG ACR=myreg\nRUN {PULL}\n'),
        ('up.ps1', f'$ACR = "myreg"\n{PULL}\n'),
        ('ci.yml', f'env: {{ACR: myreg}}\njobs: {{a: {{steps: [{{run: {PULL}}}]}}}}\n'),
        ('ci.yml', f'env:\n  ACR: myreg\njobs:\n  a:\n    steps:\n    - run: {PULL}\n'),
        ('ci.yml', f'env:\n  ACR: myreg\njobs:\n  a:\n    steps:\n    - run: |\n        cd up\n        {PULL}\n'),
        (
            'ci.yml',
            'env:\n  ACR: myreg\njobs:\n  a:\n    steps:\n'
            '    - run: docker pull "${{ env.ACR }}".azurecr.io/team/up:v1\n',
        ),
        ('azure-pipelines.yml', 'variables:\n  a: myreg\nsteps:\n- script: docker pull "$(a)".azurecr.io/team/up:v1\n'),
        ('package.json', '{"scripts": {"up": "docker pull \\"$ACR\\".azurecr.io/team/up:v1"}}'),
        ('Jenkinsfile', f"def ACR = 'myreg'\nsh '{PULL}'\n"),
    ],
)
def test_quotes_that_touch_a_name_are_none_of_the_image(name, text):
    assert pinned(name, text) == ['team/up:v1']


def test_a_digest_in_quotes_is_read():
    assert pinned('up.sh', f'REG=myreg.azurecr.io\ndocker pull "$REG"/team/up@"{DIGEST}"\n') == [f'team/up@{DIGEST}']


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('x.ts', 'const image = {registry:"myreg.azurecr.io",repository:"team/up",tag:"v1"};\n'),
        ('x.json', '{"registry":"myreg.azurecr.io","repository":"team/up","tag":"v1"}'),
        ('x.json', '{"myreg.azurecr.io/team/up":"v1"}'),
        ('x.cue', 'image: {registry:"myreg.azurecr.io", repository:"team/up", tag:"v1"}\n'),
    ],
)
def test_quotes_that_belong_to_the_language_stay(name, text):
    assert pinned(name, text) == ['team/up:v1']


@pytest.mark.parametrize('text', ['"${ACR}".azurecr.io/team/up', '$ACR.azurecr.io/team/up', '%s.azurecr.io/team/up'])
def test_the_end_of_a_host_is_no_part_of_a_word(text):
    assert 'team/up' in words_of(text, 'up.sh', NAMES).lines
