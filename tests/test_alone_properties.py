"""What does deleting this one image free? All commands that answer this question give the same answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.ghosts import with_doubtful_ghosts
from azext_acrprune.decide.named import ImageName, decide_images
from azext_acrprune.documents.explain import explain
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.usage.usage_document import usage_document
from tests import worlds
from tests.examples import examples
from tests.worlds import DAY, NOW, attachment_tag, image, index, repository_of


def answers(inventory, ago=0):
    """What usage, explain and a dry run of `image` say of each image: (bytes, digests that go, what stays)."""
    rows = usage_document(inventory, 'image', 1_000, 'now', NOW)['rows']
    decision = decide(inventory, untagged_policy(Age(f'{ago}s', ago)), NOW)
    for row in rows:
        name = ImageName(f'{row["repository"]}@{row["digest"]}', row['repository'], digest=row['digest'])
        explained = explain(decision, name, NOW)
        sure = with_doubtful_ghosts(inventory, None, NOW, {(name.repository, name.digest)})
        planned = plan_document(decide_images(sure, [name]), 'now')
        yield row, explained, planned


@examples(150)
@given(worlds.worlds(), st.sampled_from((0, DAY, 35 * DAY)))
def test_usage_explain_and_image_agree_on_what_one_image_frees(world, ago):
    for row, explained, planned in answers(worlds.to_inventory(world), ago):
        freed = planned['summary']['freedBytes']
        assert (row['uniqueBytes'], explained['uniqueBytes']) == (freed, freed)
        assert (row['storedBytes'], row['sharedBytes']) == (explained['storedBytes'], explained['sharedBytes'])
        going = {entry['digest'] for entry in planned['delete']}
        assert set(explained['goesWith']) == going - {row['digest']}
        assert row['manifests'] == (len(going) or 1)
        stays = [{key: entry[key] for key in ('digest', 'reason', 'because')} for entry in planned['staysWith']]
        assert explained['staysWith'] == stays
        assert row['staysWith'] == stays[:10]


def test_a_locked_child_and_a_shared_one_stay_and_are_named():
    locked, shared = image('locked', [3], locks=['deleteEnabled']), image('shared', [4])
    whole = index('whole', [locked['digest'], shared['digest']], tags=['v1'])
    other = index('other', [shared['digest']], tags=['v2'])
    signature = image('signature', [0], tags=[attachment_tag(whole['digest'])], locks=['writeEnabled'])
    inventory = worlds.to_inventory([repository_of(locked, shared, whole, other, signature)])
    found = {row['digest']: (row, explained) for row, explained, _ in answers(inventory)}
    row, explained = found[whole['digest']]
    assert row['uniqueBytes'] == 0, 'a locked signature keeps what it signs'
    assert 'It would stay, because' in explained['explanation']


def test_the_sentence_says_what_keeps_the_rest():
    locked = image('locked', [3], locks=['deleteEnabled'])
    whole = index('whole', [locked['digest']], tags=['v1'])
    inventory = worlds.to_inventory([repository_of(locked, whole)])
    explained = next(each for row, each, _ in answers(inventory) if row['digest'] == whole['digest'])
    assert explained['staysWith'] == [
        {'digest': locked['digest'], 'reason': 'locked', 'because': 'manifest deleteEnabled=false'}
    ]
    assert f'{locked["digest"]} stays, because it is locked (manifest deleteEnabled=false).' in explained['explanation']
