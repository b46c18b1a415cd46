"""Tags and digests that are given elsewhere than where an image has a default: the registry tells whose they are."""

from __future__ import annotations

import pytest

from tests.pin_shapes import FOUND, Case, registry_of, scored

DIGEST = f'sha256:{"a" * 64}'
TERRAFORM = (
    'variable "tag" {\n  default = "1.0.0"\n}\n'
    'resource "azurerm_container_app" "app" {\n  image = "myreg.azurecr.io/team/app:${var.tag}"\n}\n'
)
MODULE = TERRAFORM.replace('tag" {', 'image_tag" {').replace('var.tag', 'var.image_tag')
BICEP = "param tag string = '1.0.0'\nresource a 'x@1' = { properties: { image: 'myreg.azurecr.io/team/app:${tag}' } }\n"
COMPOSE = 'services:\n  app:\n    image: myreg.azurecr.io/team/app:${TAG:-1.0.0}\n'
DOCKERFILE = 'ARG BASE_TAG=1.0.0\nFROM myreg.azurecr.io/team/app:${BASE_TAG}\n'
CHART = {
    'charts/app/Chart.yaml': 'apiVersion: v2\nname: app\nversion: 0.1.0\n',
    'charts/app/values.yaml': 'image:\n  repository: myreg.azurecr.io/team/app\n  tag: 1.0.0\n',
}
GITLAB = 'variables:\n  TAG: "1.0.0"\n'

TAGS = {
    'a mapping that a default picks from': {
        'main.tf': 'variable "env" {\n  default = "dev"\n}\n'
        'locals {\n  tags = {\n    dev  = "1.0.0"\n    prod = "1.9.0"\n  }\n}\n'
        'resource "a" "b" {\n  image = "myreg.azurecr.io/team/app:${local.tags[var.env]}"\n}\n'
    },
    'a job of GitLab that extends another': {
        '.gitlab-ci.yml': f'{GITLAB}.base:\n  image: myreg.azurecr.io/team/app:$TAG\n'
        'build:\n  extends: .base\ntest:\n  extends: .base\n  variables:\n    TAG: "1.9.0"\n'
    },
    'a rule of GitLab': {
        '.gitlab-ci.yml': f'{GITLAB}test:\n  image: myreg.azurecr.io/team/app:$TAG\n'
        '  rules:\n  - if: $CI_COMMIT_TAG\n    variables:\n      TAG: "1.9.0"\n  script: [x]\n'
    },
    'a choice of GitHub': {
        '.github/workflows/run.yml': 'on:\n  workflow_dispatch:\n    inputs:\n      tag:\n        default: 1.0.0\n'
        '        type: choice\n        options: [1.0.0, 1.9.0]\n'
        'jobs:\n  run:\n    container: myreg.azurecr.io/team/app:${{ inputs.tag }}\n'
    },
    'an option of Terraform': {'main.tf': TERRAFORM, 'deploy.sh': 'terraform apply -var tag=1.9.0\n'},
    'a variable of Terraform in a pipeline': {
        'infra/main.tf': TERRAFORM,
        'azure-pipelines.yml': 'variables:\n  TF_VAR_tag: 1.9.0\nsteps:\n- script: terraform apply\n',
    },
    'a parameter of a deployment': {
        'infra/main.bicep': BICEP,
        'deploy.sh': 'az deployment group create -g rg --template-file main.bicep --parameters tag=1.9.0 env=prod\n',
    },
    'a parameter of a task of Azure Pipelines': {
        'infra/main.bicep': BICEP,
        'azure-pipelines.yml': 'steps:\n- task: AzureResourceManagerTemplateDeployment@3\n  inputs:\n'
        "    csmFile: infra/main.bicep\n    overrideParameters: '-tag 1.9.0 -env prod'\n",
    },
    'a variable before a command': {'compose.yaml': COMPOSE, 'bin/up.sh': 'TAG=1.9.0 docker compose up -d\n'},
    'a variable of make': {
        'Makefile': 'TAG ?= 1.0.0\nrun:\n\tdocker run myreg.azurecr.io/team/app:$(TAG)\n',
        'ci/build.yml': 'run:\n  script:\n  - make run TAG=1.9.0\n',
    },
    'a module of Terraform': {
        'modules/app/main.tf': MODULE,
        'envs/prod/main.tf': 'module "app" {\n  source    = "../../modules/app"\n  image_tag = "1.9.0"\n}\n',
    },
    'inputs of Terragrunt': {
        'modules/app/main.tf': MODULE,
        'live/prod/app/terragrunt.hcl': 'terraform {\n  source = "../../../modules/app"\n}\n'
        'inputs = {\n  image_tag = "1.9.0"\n}\n',
    },
    'a module of Bicep': {
        'modules/app.bicep': BICEP,
        'env/prod/main.bicep': "module a '../../modules/app.bicep' = {\n  params: {\n    tag: '1.9.0'\n  }\n}\n",
    },
    'values of a stage': {**CHART, 'envs/prod/values.yaml': 'image:\n  tag: 1.9.0\n'},
    'a release of Terraform': {
        **CHART,
        'infra/main.tf': 'resource "helm_release" "app" {\n  chart = "${path.module}/../charts/app"\n'
        '  set {\n    name = "image.tag"\n    value = "1.9.0"\n  }\n}\n',
    },
    'an argument of a build': {
        'svc/Dockerfile': DOCKERFILE,
        '.github/workflows/ci.yml': 'jobs:\n  b:\n    steps:\n    - run: docker build --build-arg BASE_TAG=1.9.0 svc\n',
    },
    'an argument of a build action': {
        'svc/Dockerfile': DOCKERFILE,
        '.github/workflows/ci.yml': 'jobs:\n  b:\n    steps:\n    - uses: docker/build-push-action@v5\n'
        '      with:\n        context: svc\n        build-args: |\n          BASE_TAG=1.9.0\n',
    },
    'a registry whose images have one step': {
        'compose.yaml': COMPOSE.replace('team/app', 'app'),
        'bin/up.sh': 'TAG=1.9.0 docker compose up -d\n',
    },
}


@pytest.mark.parametrize('name', sorted(TAGS))
def test_a_tag_that_overrides_a_default_is_pinned(name):
    app = 'app' if 'one step' in name else 'team/app'
    case = Case('tags', name, TAGS[name], (f'{app}:1.0.0', f'{app}:1.9.0'))
    score = scored(case, repositories=registry_of([case]))
    assert set(score.outcomes.values()) == {FOUND} and not score.false


@pytest.mark.parametrize(
    'files',
    [
        {**CHART, 'envs/prod/values.yaml': f'image:\n  digest: {DIGEST}\n'},
        {'vars.env': f'IMAGE=myreg.azurecr.io/team/app:1.0.0\nROLLBACK_DIGEST={DIGEST}\n'},
        {
            'deploy/app.yaml': 'containers:\n- image: myreg.azurecr.io/team/app:1.0.0\n',
            'release/digests.json': f'{{"app": "{DIGEST}"}}',
        },
        {'main.tf': TERRAFORM, 'live/prod/eu/terraform.tfvars': f'image_ref = "{"a" * 64}"\n'},
    ],
)
def test_a_digest_of_the_registry_is_pinned_wherever_it_stands(files):
    case = Case('digests', 'x', files, ('team/app:1.0.0', 'team/app@aaaa'))
    score = scored(case, repositories=registry_of([case]))
    assert set(score.outcomes.values()) == {FOUND} and not score.false
