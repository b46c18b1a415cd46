"""What the rules of one policy take of a registry as build systems fill it: each key once, by plan and apply."""

from __future__ import annotations

import json

import pytest

from tests.registry.builder import DAY, OCI_IMAGE, OCI_INDEX, cosign_tag, descriptor, image_manifest
from tests.registry.loganalytics import WORKSPACE, Event

from .images import Shelf

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost')
STATEMENT = {'vnd.docker.reference.type': 'attestation-manifest'}
SARIF = 'application/sarif+json'


class Builds(Shelf):
    """Images as buildx and others push them: configs with labels, indexes with attestations, nested indexes."""

    def built(self, name, tag=None, days=90, labels=None, platform='linux/amd64', annotations=None):
        system, processor = platform.split('/')
        config = {'os': system, 'architecture': processor, 'config': {'Labels': labels or {}}, 'name': name}
        data = json.dumps(config).encode()
        stored = self._storage.put_blob(data), len(data)
        layers = [self.layer(f'layer of {name} ', 1000)]
        return self.put(image_manifest(stored, layers, annotations=annotations), OCI_IMAGE, tag, days)

    def multi(self, name, tag=None, days=90, labels=({}, {}), platforms=('linux/amd64', 'linux/arm64'), nested=False):
        """A multi-arch image with an attestation; its platform images in an index of their own where it is nested."""
        images = [
            self.built(f'{name} {platform}', days=days, labels=found, platform=platform)
            for platform, found in zip(platforms, labels)
        ]
        statement = self.built(f'{name} statement', days=days, platform='unknown/unknown')
        rows = [self._row(digest, OCI_IMAGE) for digest in images]
        if nested:
            rows = [self._row(self._index(rows, None, days), OCI_INDEX)]
        return self._index([*rows, self._row(statement, OCI_IMAGE, annotations=STATEMENT)], tag, days)

    def _row(self, digest, media_type, **more):
        size = len(self._storage.manifests(self.repository)[digest].data)
        return descriptor(digest, size, media_type, **more)

    def _index(self, rows, tag, days):
        document = {'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': rows}
        return self.put(json.dumps(document).encode(), OCI_INDEX, tag, days)


@pytest.fixture
def night(az, tmp_path):
    """Plan and apply a policy; gives the plan."""
    az.signed_in()

    def run(text):
        policy, out = tmp_path / 'policy.yaml', str(tmp_path / 'plan.json')
        policy.write_text(text)
        plan = az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--out', out, '--show-kept', check=True).json
        az(*PRUNE, 'apply', *TARGET, '--plan', out, '--yes', '--max-percent', '100', check=True)
        return plan

    return run


POLICY = """version: 1
rules:
- {name: labelled, match: {repositories: [labels], labels: {keep: "*"}}, do: keep}
- {name: unlabelled, match: {repositories: [labels]}, when: {olderThan: 1d}, do: delete}
- name: no arm
  match: {repositories: [platforms], not: {platforms: [linux/arm64]}}
  when: {olderThan: 1d}
  do: delete
- name: expired
  match: {repositories: [dates]}
  when: {olderThan: 1d, expired: {keys: [quay.expires-after]}}
  do: delete
- name: versions
  match: {repositories: [versions], tagged: true}
  when: {olderThan: 30d}
  keep: {semver: 1, perGroup: {newest: 1, pattern: '^v(?P<major>[0-9]+)'}, others: take}
  do: untag
- name: thinned
  match: {repositories: [thin]}
  when: {olderThan: 1d}
  keep: {thin: {daily: 2, yearly: 2}}
  do: delete
- name: reports
  match: {repositories: [signed], artifactTypes: [application/sarif+json]}
  when: {olderThan: 1d}
  keep: {perSubject: {newest: 1}}
  do: delete
- name: signed
  match: {repositories: [signed]}
  when: {olderThan: 60d}
  do: delete
- name: enough
  match: {repositories: [budget]}
  when: {olderThan: 90d}
  until: {freed: 1TiB}
  order: oldest
  do: delete
protect: {images: ["labels:prod"]}
limits: {minKeepPerRepository: 1}
registries:
  localhost:
    rules: {enough: {when: {olderThan: 20d}, until: {repositoryUnder: 2500}}}
"""


def test_each_rule_takes_what_its_words_say_of_what_build_systems_push(registry, now, night):
    def shelf(name):
        return Builds(registry.storage, now, name)

    labels = shelf('labels')
    one = labels.multi('one labelled', 'v1', labels=({'keep': 'soon'}, {}), nested=True)
    labels.multi('none labelled', 'v2')
    protected = registry.storage.manifests('labels')[labels.built('protected', 'prod')]
    labels.put(protected.data, OCI_IMAGE, 'old', days=90)
    platforms = shelf('platforms')
    platforms.multi('both', 'v1')
    platforms.multi('intel', 'v2', platforms=('linux/amd64',), labels=({},))
    dates = shelf('dates')
    weeks = ({'quay.expires-after': '2w'}, {'quay.expires-after': '8w'})
    dates.multi('over', 'v1', days=60, labels=weeks, nested=True)
    dates.multi('not yet', 'v2', days=50, labels=weeks)
    dates.multi('half', 'v3', days=900, labels=(weeks[0], {}))
    dates.built('never', 'v4', days=900, labels={'quay.expires-after': 'never'})
    versions = shelf('versions')
    for days, tag in ((70, 'v1.0.0'), (60, 'v1.1.0'), (50, 'v2.0.0'), (80, 'latest'), (40, 'v0.1.0')):
        versions.built(tag, tag, days=days)
    for days in (2, 3, 4, 400):
        shelf('thin').built(f'{days}', f't{days}', days=days)
    signed = shelf('signed')
    subject, gone = signed.built('subject', 'v1', days=40), signed.built('gone', 'v2', days=70)
    report = {'subject': subject, 'artifact_type': SARIF}
    older, newer = signed.image('older', days=9, **report), signed.image('newer', days=5, **report)
    signature = signed.image('signature', tag=cosign_tag(subject), days=40)
    signed.image('night', days=0.1, subject=signed.image('sbom', days=3, subject=gone), artifact_type=SARIF)
    for days in (30, 40, 50):
        shelf('budget').built(f'{days}', f'b{days}', days=days)
    plan = night(POLICY)
    left = {name: {*registry.storage.tags(name)} for name in registry.storage.repositories()}
    assert left == {
        'labels': {'v1', 'prod', 'old'},
        'platforms': {'v1'},
        'dates': {'v2', 'v3', 'v4'},
        'versions': {'v2.0.0', 'v1.1.0', 'v0.1.0'},
        'thin': {'t2', 't3', 't400'},
        'signed': {'v1', cosign_tag(subject)},
        'budget': {'b30'},
    }
    assert set(registry.storage.manifests('signed')) == {subject, newer, signature}
    assert older in {entry['digest'] for entry in plan['delete']}
    assert one in registry.storage.manifests('labels') and len(registry.storage.manifests('versions')) == 5
    (row,) = [row for row in plan['rules'] if row['name'] == 'versions']
    assert (row['claimed'], row['takes']) == (5, 2)
    assert {each['message'] for each in plan['warnings'] if each['code'] == 'looserLimit'} == {
        f"The policy is bolder for this registry than for all: registries.localhost: {each} of 'enough'{more}."
        for each, more in (('when.olderThan', ' (20d in place of 90d)'), ('until', ''))
    }


PULLS = """version: 1
facts: {pulls: {workspace: WORKSPACE}}
rules:
- {name: never, match: {repositories: [never]}, when: {olderThan: 1d, neverPulledAfter: 30d}, do: delete}
- {name: last, match: {repositories: [last]}, when: {olderThan: 1d}, keep: {recentlyPulled: 1}, do: delete}
- name: longest
  match: {repositories: [longest]}
  when: {olderThan: 1d}
  until: {repositoryUnder: 9000}
  order: notPulledLongest
  do: delete
"""


def test_pulls_decide_as_far_as_the_log_goes(registry, now, night):
    registry.logs.events = [Event(now - days * DAY, 'Push', 'other') for days in range(100)]
    for name in ('never', 'last', 'longest'):
        shelf = Builds(registry.storage, now, name)
        for tag, days, pulled in (('unused', 50, None), ('used', 60, 9), ('lately', 70, 2), ('before', 500, None)):
            digest = shelf.multi(f'{name} {tag}', tag, days=days) if tag == 'used' else shelf.built(tag, tag, days=days)
            if pulled:
                registry.logs.events += [Event(now - pulled * DAY, 'Pull', name, digest, '')]
    plan = night(PULLS.replace('WORKSPACE', WORKSPACE))
    assert {name: {*registry.storage.tags(name)} for name in registry.storage.repositories()} == {
        'never': {'used', 'lately', 'before'},
        'last': {'lately', 'before'},
        'longest': {'used', 'lately', 'before'},
    }
    why = {(each['repository'], tag): each['because'] for each in plan['kept'] for tag in each['tags']}
    assert 'and the image is older' in why['never', 'before']
    assert why['last', 'before'].endswith('its last pull is not known')
    assert 'no place in the order' in why['longest', 'before']
