"""The pipelines in docs/pipelines.md: their YAML is whole, their scripts are, and their commands run in order."""

from __future__ import annotations

import re
import subprocess

import pytest

from .examples import ROOT, commands_in, pipelines, scripts
from .test_documents import arguments_of, fill

PIPELINES = pipelines()
PLACEHOLDERS = {'$GITHUB_STEP_SUMMARY': 'summary.md', '$(Pipeline.Workspace)/plan/': '', '/metrics/': ''}
"""What a pipeline puts in, by what it is in the test: everything is in one folder."""


def steps(value):
    """Every mapping in a pipeline."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from steps(each)


def test_there_is_a_pipeline_for_each_platform():
    assert list(PIPELINES) == ['GitHub Actions', 'Azure Pipelines', 'A CronJob in Kubernetes', 'A scheduled ACR Task']


@pytest.mark.parametrize('name', PIPELINES)
def test_the_commands_of_a_pipeline_run_in_the_order_of_the_file(az, registry, now, tmp_path, name):
    digests = fill(registry, now, az.home)
    policy = ROOT / 'azext_acrprune' / 'policy' / 'examples' / 'ci.yaml'
    (az.home / 'policy.yaml').write_text(policy.read_text())
    before = registry.storage.stored_bytes()
    commands = [each for script in scripts(PIPELINES[name]) for each in commands_in(script, PLACEHOLDERS)]
    assert commands
    for command in commands:
        assert not re.search(r'[$][({A-Z]', command.text), f'a placeholder without a value: {command.text}'
        az(*arguments_of(command, digests, tmp_path), check=True)
    assert registry.storage.stored_bytes() < before
    for command in commands:
        for option in ('--summary-file', '--metrics-file'):
            if option in command.arguments:
                file = az.home / command.arguments[command.arguments.index(option) + 1]
                assert 'acr prune' in file.read_text()


@pytest.mark.parametrize('name', PIPELINES)
def test_the_scripts_of_a_pipeline_are_whole(name):
    found = list(scripts(PIPELINES[name]))
    assert found
    for script in found:
        plain = re.sub(r'[$][({][{\w. ]+[)}]+', 'value', script)
        run = subprocess.run(['bash', '-n'], input=plain, capture_output=True, text=True)
        assert run.returncode == 0, f'{script}\n{run.stderr}'


def test_what_a_job_of_github_waits_for_and_downloads_is_there():
    jobs = PIPELINES['GitHub Actions']['jobs']
    uploaded = set()
    for job in jobs.values():
        assert set([job['needs']] if 'needs' in job else []) <= set(jobs)
        for step in job['steps']:
            assert ('uses' in step) != ('run' in step)
            if step.get('uses', '').startswith('actions/upload-artifact'):
                uploaded.add(step['with']['name'])
            if step.get('uses', '').startswith('actions/download-artifact'):
                assert step['with']['name'] in uploaded
    assert jobs['apply']['environment'], 'somebody approves'


def test_what_a_stage_of_azure_waits_for_and_downloads_is_there():
    stages = PIPELINES['Azure Pipelines']['stages']
    assert {stage.get('dependsOn') for stage in stages} - {None} <= {stage['stage'] for stage in stages}
    published = {step['artifact'] for step in steps(stages) if 'publish' in step}
    assert {step['artifact'] for step in steps(stages) if 'download' in step} <= published
    assert any('environment' in step for step in steps(stages[-1])), 'somebody approves'
    assert all(step['inputs']['useGlobalConfig'] for step in steps(stages) if step.get('task') == 'AzureCLI@2')


def test_every_mount_of_the_cronjob_is_a_volume_and_no_token_is_on_one():
    pod = PIPELINES['A CronJob in Kubernetes']['spec']['jobTemplate']['spec']['template']['spec']
    container = pod['containers'][0]
    mounts = {mount['name']: mount['mountPath'] for mount in container['volumeMounts']}
    folder = next(each['value'] for each in container['env'] if each['name'] == 'AZURE_CONFIG_DIR')
    assert set(mounts) == {volume['name'] for volume in pod['volumes']}
    assert mounts['state'] == f'{folder}/acrprune' and folder not in mounts.values()
