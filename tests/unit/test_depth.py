"""Shapes that take long: deep ones are followed so far, and wide ones cost in proportion to their size."""

import hashlib
import sys

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.depth import DEEPEST, TOO_DEEP, within_depth
from azext_acrprune.decide.graph import build_graph, deletion_batches, deletion_waves
from azext_acrprune.decide.named import ImageName, decide_images
from azext_acrprune.decide.wholeness import with_all_tags
from azext_acrprune.documents.check import check_document
from azext_acrprune.documents.explain import explain
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.model import Blob, Content, Inventory, Manifest, NotRead, Repository, Tag, Unreadable
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import untagged_policy
from azext_acrprune.usage.usage_document import KINDS, usage_document

INDEX = 'application/vnd.oci.image.index.v1+json'
IMAGE = 'application/vnd.oci.image.manifest.v1+json'
OLD, NOW = 17 * 10**15, 18 * 10**15


def digest(name) -> str:
    return 'sha256:' + hashlib.sha256(str(name).encode()).hexdigest()


def manifest(name, *tags: str, **content) -> Manifest:
    media_type = INDEX if 'children' in content else IMAGE
    return Manifest(digest(name), Content(100, **content), tags, media_type, created_at=OLD, updated_at=OLD)


def attached(name, to) -> Manifest:
    return manifest(name, f'sha256-{digest(to)[7:]}.sig')


def chain(n: int) -> list[Manifest]:
    return [*(manifest(i, children=(digest(i + 1),)) for i in range(n)), manifest(n, blobs=(Blob('layer', 5),))]


SHAPES = {
    'a chain of indexes': chain,
    'a chain of subjects': lambda n: [manifest(0), *(manifest(i, subject=digest(i - 1)) for i in range(1, n))],
    'a chain of signatures': lambda n: [manifest(0), *(attached(i, i - 1) for i in range(1, n))],
    'an index of many': lambda n: [manifest('index', children=tuple(map(digest, range(n)))), *map(manifest, range(n))],
    'a part of many': lambda n: [manifest('part'), *(manifest(i, children=(digest('part'),)) for i in range(n))],
    'many referrers': lambda n: [manifest('subject'), *(manifest(i, subject=digest('subject')) for i in range(n))],
    'many signatures': lambda n: [manifest('subject'), *(attached(i, 'subject') for i in range(n))],
    'a layer of many': lambda n: [manifest(i, blobs=(Blob('layer', 5),)) for i in range(n)],
    'many layers': lambda n: [manifest('image', blobs=tuple(Blob(f'layer {i}', 5) for i in range(n)))],
    'many tags': lambda n: [manifest('image', *(f'tag-{i}' for i in range(n)))],
}


def repository_of(manifests) -> Repository:
    return Repository('app', within_depth({each.digest: each for each in sorted(manifests)}))


def unreadable(repository: Repository) -> int:
    return sum(isinstance(each.content, Unreadable) for each in repository.manifests.values())


@pytest.mark.parametrize('shape', ['a chain of indexes', 'a chain of subjects', 'a chain of signatures'])
def test_what_is_nested_too_deep_is_unreadable_and_stays(shape):
    assert unreadable(repository_of(SHAPES[shape](DEEPEST))) == 0
    deep = repository_of(SHAPES[shape](3 * DEEPEST))
    assert 0 < unreadable(deep) == sum(each.content == TOO_DEEP for each in deep.manifests.values())
    document = plan_document(decide(Inventory('host', (deep,), frozenset(['app'])), untagged_policy(), NOW), 'now')
    assert document['delete'] == []
    assert 'nested more than 64 deep' in document['warnings'][0]['message']


@pytest.mark.parametrize('order', [1, -1])
def test_of_a_chain_with_one_more_than_64_below_its_top_only_the_top_is_unreadable(order):
    chained = chain(DEEPEST + 1)
    found = within_depth({each.digest: each for each in chained[::order]})
    assert [name for name, each in found.items() if each.content == TOO_DEEP] == [digest(0)]


def test_beside_what_leads_no_further_the_way_down_is_followed_all_the_same():
    leaf, (*indexes, last) = manifest('leaf'), chain(DEEPEST + 1)
    indexes = [manifest(i, children=(leaf.digest, digest(i + 1))) for i, _ in enumerate(indexes)]
    assert unreadable(repository_of([leaf, *indexes, last])) == 1


def test_what_is_below_64_is_read_even_where_much_is_above():
    deep = repository_of(chain(3 * DEEPEST))
    for i in range(2 * DEEPEST, 3 * DEEPEST):
        assert deep.manifests[digest(i)].content != TOO_DEEP


def test_signatures_that_were_not_read_are_nested_by_their_tags_all_the_same():
    chained = [each.having(NotRead()) for each in SHAPES['a chain of signatures'](3 * DEEPEST)]
    deep = within_depth({each.digest: each for each in chained})
    assert deep[digest(3 * DEEPEST - 1)].content == TOO_DEEP
    assert deep[digest(0)].content == deep[digest(DEEPEST // 2)].content == NotRead()


def test_many_shallow_ones_are_left_alone_and_so_is_a_small_circle():
    pairs = [each for i in range(100) for each in (manifest(i, children=(digest((i, 1)),)), manifest((i, 1)))]
    circle = [attached('one', 'other'), attached('other', 'one')]
    assert unreadable(repository_of([*pairs, *circle])) == 0
    names = [str(i) for i in range(3 * DEEPEST)]
    assert unreadable(repository_of([attached(each, names[place - 1]) for place, each in enumerate(names)])) > 0


def test_a_circle_of_no_more_than_64_is_read_since_that_many_cannot_be_nested_deeper():
    names = [str(i) for i in range(DEEPEST)]
    assert unreadable(repository_of([attached(each, names[place - 1]) for place, each in enumerate(names)])) == 0


class Steps:
    """Counts the calls of functions of ours, and the lines of them that are begun."""

    def __enter__(self):
        self.number = 0
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(self._before)

    def _trace(self, frame, event, _):
        if 'azext_acrprune' not in frame.f_code.co_filename:
            return None
        self.number += 1
        return self._trace


def steps(work) -> int:
    with Steps() as counted:
        work()
    return counted.number


def everything(manifests) -> None:
    """All that is worked out of a registry: what goes, why, what it frees, in which order, and what is wrong."""
    repository = repository_of(manifests)
    inventory = Inventory('host', (repository,), frozenset(['app']))
    decision = decide(inventory, untagged_policy(), NOW)
    graph, doomed = build_graph(repository), decision.doomed_in('app')
    for group_by in ('repository', 'reason', 'rule'):
        plan_document(decision, '2026-01-01T00:00:00Z', True, group_by=group_by)
    plan_document(decide(inventory, policy_of(Flags(match=('**:*',), untagged=True)), NOW), '2026-01-01T00:00:00Z')
    assert sum(map(len, deletion_waves(graph, doomed))) == sum(map(len, deletion_batches(graph, doomed, 9)))
    check_document(inventory, 'now', ('host',))
    for by in KINDS:
        usage_document(inventory, by, 10, 'now', NOW)
    for name in (min(repository.manifests), max(repository.manifests)):
        explain(decision, ImageName('', 'app', digest=name), NOW)
        decide_images(inventory, [ImageName('', 'app', digest=name)], include_locked=True)


@pytest.mark.parametrize('shape', SHAPES)
def test_twice_as_much_takes_about_twice_as_many_steps(shape):
    few, many = (steps(lambda number=number: everything(SHAPES[shape](number))) for number in (100, 200))
    assert many < 2.6 * few


def test_a_digest_that_many_tags_are_on_is_looked_at_once(monkeypatch):
    looked: list[str] = []

    class Tags(tuple):
        def __contains__(self, name):
            looked.append(name)
            return super().__contains__(name)

    names = Tags(f'tag-{i}' for i in range(1000))
    with_all_tags({digest(0): manifest(0)._replace(tags=names)}, [Tag(name, digest(0)) for name in names])
    assert not looked
