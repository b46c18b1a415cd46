"""Random registries whose retention policy deletes what loses its last tag, in the local registry itself.

The oracle is what happens there: no tagged image is broken that was whole, nothing goes that the plan does not name,
and the bytes are those that the registry loses.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.retention import with_retention
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.model import Retention
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.references import Reference
from azext_acrprune.policy.flags import Flags, policy_of
from tests import worlds
from tests.examples import examples
from tests.worlds import NOW

ASKED = st.fixed_dictionaries(
    {'untagged': st.booleans(), 'include_locked': st.booleans(), 'keep': st.sampled_from((0, 0, 0, 1))}
)


@examples(300, HealthCheck.data_too_large)
@given(worlds.tagged_worlds(), ASKED, st.data())
def test_the_registry_deletes_what_the_plan_names_and_breaks_no_tag(world, asked, data):
    world = mostly_docker(world)
    inventory = worlds.to_inventory(world)
    every = [(repository.name, digest) for repository in inventory.repositories for digest in repository.manifests]
    pinned = data.draw(st.sets(st.sampled_from(sorted(every)), max_size=2))
    pins = Pins(tuple(Pin(Reference(name, digest=digest), 'deploy', 1) for name, digest in sorted(pinned)))
    policy = policy_of(Flags(match=('**:*-*', '**:v*'), ago='0', **asked))
    policy = policy.__class__(**{**policy.__dict__, 'pins': pins})
    decision = with_retention(decide(inventory, policy, NOW), Retention(0))
    summary = plan_document(decision, 'now')['summary']

    storage = worlds.to_storage(world)
    storage.retention.days = 0
    whole = {
        (name, tag) for name in storage.repositories() for tag in storage.tags(name) if is_whole(storage, name, tag)
    }
    before, bytes_before = there(storage), storage.stored_bytes()
    removed = {
        (repository.name, tag)
        for repository in inventory.repositories
        for tag, _, _ in decision.untagged_in(repository)
    }
    for name, tag in sorted(removed):
        if tag in storage.tags(name):  # else it went with the subject of its manifest, which the plan has to name
            unlock(storage, name, tag)
            storage.untag(name, tag)

    gone = before - there(storage)
    assert gone == decision.later
    assert not gone & pinned
    for name, tag in whole - removed:
        if storage.tags(name)[tag].digest not in decision.doomed_in(name):
            assert is_whole(storage, name, tag)
    lost = bytes_before - storage.stored_bytes()
    if not decision.doomed:
        assert lost <= summary['freedLaterBytes']
        assert summary['freedLaterImpact'] != 'exact' or lost == summary['freedLaterBytes']


def mostly_docker(world):
    """The same with Docker's types, which the policy takes: all indexes, and the images that refer to nothing."""
    for repository in world:
        for manifest in repository['manifests']:
            if manifest['media_type'] == worlds.OCI_INDEX:
                manifest['media_type'] = worlds.DOCKER_LIST
            elif manifest['media_type'] == worlds.OCI_IMAGE and 'subject' not in manifest['document']:
                manifest['media_type'] = worlds.DOCKER_IMAGE
    return world


def is_whole(storage, name, tag):
    return not storage.whole(name, tag)


def there(storage):
    return {(name, digest) for name in storage.repositories() for digest in storage.manifests(name)}


def unlock(storage, name, tag):
    """As the program does with --include-locked: the lock of the tag is taken off, that of the manifest is not."""
    storage.set_locks(name, tag=tag, deleteEnabled=True, writeEnabled=True)
