"""Which kind of number each number of bytes is, against a count of everything, with some of it out of sight."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import Decision
from azext_acrprune.decide.impact import kind_of_freed, kind_of_held, open_ledger
from azext_acrprune.decide.verdicts import Verdict
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.policy_diff import diff_document
from azext_acrprune.model import Inventory, Unreadable
from azext_acrprune.show.policy_tables import diff_markdown
from azext_acrprune.usage.usage_document import usage_document
from tests import oracle, worlds
from tests.examples import examples
from tests.worlds import NOW, artifact, image, repository_of, to_inventory

RULES = ('first', 'second')


def holds(kind: str, said: int, true: int) -> bool:
    return {'exact': said == true, 'upperBound': said >= true, 'lowerBound': said <= true, 'unknown': True}[kind]


@st.composite
def half_seen(draw):
    """(a world, its inventory, the same with something out of sight, what goes by rule, what another plan takes)."""
    world = draw(worlds.worlds())
    whole = to_inventory(world)
    nodes = sorted(oracle.all_nodes(world))
    assume(nodes)
    some = st.sets(st.sampled_from(nodes))
    unread, other, unlisted = draw(some), draw(some), draw(st.sets(st.sampled_from(nodes), max_size=2))
    hidden = draw(st.sets(st.sampled_from([each['name'] for each in world]), max_size=1))
    going = {node: draw(st.sampled_from(RULES)) for node in sorted(draw(some)) if node[0] not in hidden}
    going = {node: rule for node, rule in going.items() if node not in unlisted}
    return world, whole, out_of_sight(whole, unread, hidden, unlisted), going, other - unlisted


def out_of_sight(whole: Inventory, unread, hidden=(), unlisted=()) -> Inventory:
    shown = [
        replace(
            repository,
            manifests={
                digest: manifest.having(Unreadable('500')) if (repository.name, digest) in unread else manifest
                for digest, manifest in repository.manifests.items()
                if (repository.name, digest) not in unlisted
            },
            unseen='more is there' if repository.name in {name for name, _ in unlisted} else None,
        )
        for repository in whole.repositories
        if repository.name not in hidden
    ]
    return replace(whole, repositories=tuple(shown), whole=len(shown) == len(whole.repositories))


def decision_of(inventory: Inventory, going) -> Decision:
    def verdict(name: str, digest: str) -> Verdict:
        rule = going.get((name, digest), '')
        return Verdict(not rule, 'untagged' if rule else 'excluded', '', rule)

    verdicts = {
        repository.name: {digest: verdict(repository.name, digest) for digest in repository.manifests}
        for repository in inventory.repositories
    }
    return Decision(inventory, {}, verdicts, rules=RULES)


@examples(300)
@given(half_seen(), st.sampled_from(('repository', 'reason', 'rule')))
def test_every_number_of_a_plan_is_what_it_is_said_to_be(found, group_by):
    world, whole, seen, going, _ = found
    said, true = (plan_document(decision_of(each, going), 'now', group_by=group_by) for each in (seen, whole))
    if whole.complete and open_ledger(whole).whole:
        assert true['summary']['freedBytes'] == oracle.freed_bytes(world, set(going))
    kind, held = said['impact'], said['summary']['heldImpact']
    for number in ('freedBytes', 'freedManifestBytes'):
        assert holds(kind, said['summary'][number], true['summary'][number])
    for number in ('registryBytes', 'sharedBytes'):
        assert holds(held, said['summary'][number], true['summary'][number])
    for key, name in (('repositories', 'name'), ('rules', 'name')):
        rows = {row[name]: row for row in true[key]}
        for row in said[key]:
            assert holds(row.get('impact', kind), row['freedBytes'], rows[row[name]]['freedBytes'])
    entries = {(entry['repository'], entry['digest']): entry for entry in true['delete']}
    for entry in said['delete']:
        unique = entries[entry['repository'], entry['digest']]['uniqueBytes']
        assert holds(entry.get('impact', kind), entry['uniqueBytes'], unique)
    groups = {row['group']: row for row in true['groups']}
    for row in said['groups']:
        for number in ('freedBytes', 'attributedFreedBytes'):
            assert holds(row['impact'], row[number], groups[row['group']][number])
        assert holds(row['heldImpact'], row['attributedBytes'], groups[row['group']]['attributedBytes'])


@examples(100)
@given(half_seen())
def test_every_number_of_a_difference_of_policies_is_what_it_is_said_to_be(found):
    _, whole, seen, going, other = found
    taken = {node: RULES[0] for node in other if node[0] in {each.name for each in seen.repositories}}
    said, true = (
        diff_document(decision_of(each, going), decision_of(each, taken))['summary'] for each in (seen, whole)
    )
    for name in ('old', 'new', 'more'):
        assert holds(said[f'{name}Impact'], said[f'{name}FreedBytes'], true[f'{name}FreedBytes'])


@examples(100)
@given(half_seen())
def test_every_number_of_usage_is_what_it_is_said_to_be(found):
    _, whole, seen, _, __ = found
    for by in ('repository', 'image', 'tag-pattern'):
        said, true = (usage_document(each, by, 1000, 'now', NOW) for each in (seen, whole))
        assert holds(said['heldImpact'], said['summary']['registryBytes'], true['summary']['registryBytes'])
        rows = {key_of(row): row for row in true['rows']}
        for row in said['rows']:
            for number in ('uniqueBytes', 'attributedBytes')[
                by == 'image' :
            ]:  # an image that has to stay frees nothing
                assert holds(row['impact'], row[number], rows.get(key_of(row), {}).get(number, 0)), (by, number)


def key_of(row) -> tuple:
    return row['repository'], row.get('digest'), row.get('pattern')


def test_an_unread_signature_may_fall_too_so_that_one_image_frees_about_so_much():
    subject = image('subject', [0])
    signature = artifact('signature', [1], subject=subject['digest'])
    nodes = {('team/web', each['digest']): RULES[0] for each in (subject, signature)}
    seen = out_of_sight(to_inventory([repository_of(subject, signature)]), {('team/web', signature['digest'])})
    document = plan_document(decision_of(seen, nodes), 'now')
    kinds = {entry['digest']: entry.get('impact', document['impact']) for entry in document['delete']}
    assert kinds == {subject['digest']: 'unknown', signature['digest']: 'lowerBound'}


@pytest.mark.parametrize('beyond, kind, held', [(0, 'exact', 'exact'), (1, 'upperBound', 'lowerBound')])
def test_a_byte_that_azure_stores_and_nobody_found_may_be_of_a_hidden_repository(beyond, kind, held):
    inventory = to_inventory([repository_of(image('gone', [0]))])
    inventory = replace(inventory, stored=open_ledger(inventory).registry_bytes + beyond)
    ledger, nodes = open_ledger(inventory), [('team/web', image('gone', [0])['digest'])]
    assert (kind_of_freed(inventory, ledger, nodes), kind_of_held(inventory, ledger)) == (kind, held)
    warnings = plan_document(decision_of(inventory, {}), 'now')['warnings']
    assert [warning['code'] for warning in warnings] == ['unseenBytes'] * beyond


def test_where_the_catalog_is_empty_and_azure_stores_something_nothing_is_exact():
    inventory = Inventory('registry', (), frozenset(), stored=7)
    assert plan_document(decision_of(inventory, {}), 'now')['impact'] == 'upperBound'
    assert usage_document(inventory, 'repository', None, 'now', NOW)['heldImpact'] == 'lowerBound'


def test_markdown_says_which_bound_a_number_is():
    whole = to_inventory([repository_of(image('gone', [0]), image('other', [0]))])
    seen = out_of_sight(whole, {('team/web', image('other', [0])['digest'])})
    going = {('team/web', image('gone', [0])['digest']): RULES[0]}
    page = diff_markdown(diff_document(decision_of(seen, {}), decision_of(seen, going)))
    assert 'The plan frees at most' in page and 'in place of 0 B: about' in page
