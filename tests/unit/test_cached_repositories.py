"""Repositories behind a cache rule: what they lack is brought by whoever pulls it."""

import dataclasses

import pytest

from azext_acrprune.decide.graph import absent_children, missing_children
from azext_acrprune.documents.check import check_document
from azext_acrprune.inventory.scan import Extent
from tests.worlds import MISSING, index, repository_of, to_inventory


@pytest.mark.parametrize(
    'name, cached', [('mirror/a/b', True), ('library/nginx', True), ('library/nginx2', False), ('mirror', False)]
)
def test_a_rule_names_a_repository_or_a_prefix(name, cached):
    assert Extent(cached=('mirror/*', 'library/nginx')).is_cached(name) == cached


def test_a_missing_platform_is_a_hint_that_nothing_mends():
    inventory = to_inventory([repository_of(index('i', [MISSING[0]], tags=['v1']))])
    (repository,) = inventory.repositories
    cached = dataclasses.replace(repository, cached=True)
    (digest,) = repository.manifests
    assert (missing_children(cached, digest), absent_children(cached, digest)) == ((), (MISSING[0],))
    found = {
        each.cached: check_document(
            dataclasses.replace(inventory, repositories=(each,)), '2026-11-29T00:00:00Z', ['my']
        )['findings'][0]
        for each in (repository, cached)
    }
    assert (found[False]['severity'], found[True]['severity']) == ('broken', 'hint')
    sentence = f'The index lacks 1 of its 1 manifests: {MISSING[0]}.'
    assert found[False]['message'] == sentence
    assert found[True]['message'] == f'{sentence} A cache rule brings them when somebody pulls them.'
    assert found[True]['mend']['command'] is None
    assert 'cache rule' in found[True]['mend']['advice']
