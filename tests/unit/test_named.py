"""Decisions about images, tags and repositories that the user names, and how reasons and limits are told."""

from dataclasses import replace

import pytest

from azext_acrprune.decide.decision import ShareExcess, decide, first_excess
from azext_acrprune.decide.named import (
    Fallout,
    Locked,
    NotAnImage,
    NotWhole,
    Pinned,
    Young,
    decide_images,
    decide_repository,
    decide_untag,
    digest_of,
    parse_image,
    whole_digest,
)
from azext_acrprune.decide.reasons import RELATIONS, TOLD, sentence_of
from azext_acrprune.decide.verdicts import name_of_locked
from azext_acrprune.model import Manifest, Tag
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.references import Reference
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Limits
from tests.worlds import (
    CONFIGS,
    LAYERS,
    NOW,
    attachment_tag,
    image,
    index,
    repository_of,
    sha256,
    to_inventory,
    unreadable,
)

NAME = 'team/web'
CHILD = image('child', [0])
INDEX = index('index', [CHILD['digest']], tags=['v1'])
SIGNATURE = image('signature', tags=[attachment_tag(INDEX['digest'])])
STAYS = image('stays', [0], tags=['v2'])
WORLD = [repository_of(CHILD, INDEX, SIGNATURE, STAYS), repository_of(image('other', tags=['v1']), name='other')]
NOWHERE = sha256(b'nowhere')


def named(*texts):
    return [parse_image(f'{NAME}{text}') for text in texts]


def pins(tag=None, digest=None):
    return Pins((Pin(Reference(NAME, tag, digest), 'deploy.yaml', 1),))


def young(kind):
    """Says of all manifests, or of all tags, that they are too young."""
    return lambda thing: 'another region' if isinstance(thing, kind) else None


def reasons(decision):
    return {digest: verdict.reason for digest, verdict in decision.verdicts[NAME].items()}


# --- Names -----------------------------------------------------------------------------------------------------------


def test_an_image_is_named_by_tag_or_by_digest():
    assert parse_image('a/b:c').tag == 'c'
    assert parse_image(f'a/b@{NOWHERE}').digest == NOWHERE
    with pytest.raises(ValueError, match="leave out 'localhost:5000/'"):
        parse_image('localhost:5000/b:c')


def test_a_digest_alone_is_told_that_it_needs_its_repository():
    with pytest.raises(ValueError, match='without its repository, as in team/app@sha256:012c17e4ec1b'):
        parse_image('sha256:012c17e4ec1b')


def test_only_what_begins_as_a_digest_and_has_its_digits_is_told_to_be_one():
    with pytest.raises(ValueError, match='neither repository:tag nor repository@digest'):
        parse_image('cafe')
    assert (parse_image('sha256:v1').repository, parse_image('sha256:v1').tag) == ('sha256', 'v1')


@pytest.mark.parametrize(
    'text', ['a', ':b', 'a:', 'a:b/c', 'a@', f'@{NOWHERE}', 'a@sha256:', 'a@sha256:xyz', f'a@{NOWHERE}0']
)
def test_whatever_else_is_no_image(text):
    with pytest.raises(ValueError):
        parse_image(text)


@pytest.mark.parametrize(
    'text, said',
    [
        (':v9', "has no tag 'v9'"),
        (f'@{NOWHERE}', 'has no manifest'),
        (f'@{CONFIGS[0]["digest"]}', f'is the digest of a config, not of a manifest. It is used by {NAME}@'),
        (f'@{LAYERS[0]["digest"]}', 'is the digest of a layer'),
    ],
)
def test_what_names_no_manifest_is_said_to_be_what_it_is(text, said):
    with pytest.raises(NotAnImage, match=said):
        digest_of(named(text)[0], to_inventory(WORLD))


@pytest.mark.parametrize('count, more', [(5, ''), (6, ' and 1 more'), (7, ' and 2 more')])
def test_of_those_that_use_a_config_five_are_named(count, more):
    users = [image(f'user {number}') for number in range(count)]
    with pytest.raises(NotAnImage) as raised:
        digest_of(named(f'@{CONFIGS[0]["digest"]}')[0], to_inventory([repository_of(*users)]))
    names = ', '.join(f'{NAME}@{digest}' for digest in sorted(user['digest'] for user in users)[:5])
    assert str(raised.value).endswith(f'It is used by {names}{more}.')


@pytest.mark.parametrize('shown', [f'sha256:{INDEX["digest"][7:19]}', INDEX['digest'][7:19], INDEX['digest']])
def test_a_digest_may_be_cut_as_tables_show_it(shown):
    assert digest_of(named(f'@{shown}')[0], to_inventory(WORLD)) == INDEX['digest']


def test_of_a_cut_digest_that_may_be_several_the_candidates_are_named():
    several = [image(f'image {number}') for number in range(40)]
    start = next(text for text in '0123456789abcdef' if sum(each['digest'][7] == text for each in several) > 1)
    with pytest.raises(NotAnImage, match='may be several images') as caught:
        digest_of(named(f'@sha256:{start}')[0], to_inventory([repository_of(*several)]))
    assert str(caught.value).count(f'{NAME}@sha256:{start}') >= 3, 'the name, and the candidates'


@pytest.mark.parametrize('count, more', [(5, ''), (6, ' and 1 more'), (8, ' and 3 more')])
def test_of_many_candidates_for_a_cut_digest_five_are_named_and_the_others_counted(count, more):
    digests = [f'sha256:abc{number:061x}' for number in range(count)]
    listed = ', '.join(f'{NAME}@{digest}' for digest in digests[:5])
    with pytest.raises(NotAnImage) as caught:
        whole_digest(named('@abc')[0], digests)
    assert f'may be several images: {listed}{more}. Give more' in str(caught.value)


def test_of_many_users_of_a_layer_five_are_named():
    world = [repository_of(*(image(f'image {number}', [1]) for number in range(7)))]
    with pytest.raises(NotAnImage, match='and 2 more'):
        digest_of(named(f'@{LAYERS[1]["digest"]}')[0], to_inventory(world))


def test_a_repository_that_is_not_there_is_said():
    with pytest.raises(NotAnImage, match="'nowhere' is not there"):
        digest_of(parse_image('nowhere:v1'), to_inventory(WORLD))


# --- Images ----------------------------------------------------------------------------------------------------------


def test_a_locked_image_that_is_too_young_as_well_says_that_it_is_locked():
    locked, young = image('locked', tags=['v1'], locks=['deleteEnabled']), image('young', tags=['v2'])
    world = [repository_of(locked, young)]
    decision = decide_images(to_inventory(world), named(':v1', ':v2'), unsettled=lambda _: 'another region')
    assert reasons(decision) == {locked['digest']: 'locked', young['digest']: 'young'}


def test_a_named_image_goes_with_its_children_and_attachments():
    decision = decide_images(to_inventory(WORLD), named(':v1'))
    assert reasons(decision) == {
        CHILD['digest']: 'childOf',
        INDEX['digest']: 'named',
        SIGNATURE['digest']: 'referrerOf',
        STAYS['digest']: 'tagged',
    }
    assert {verdict.reason for verdict in decision.verdicts['other'].values()} == {'excluded'}


def test_nothing_goes_from_a_repository_in_which_nothing_is_named():
    decision = decide_images(to_inventory(WORLD), named(':v1'))
    assert decision.doomed == {(NAME, each['digest']) for each in (CHILD, INDEX, SIGNATURE)}
    assert all(verdict.kept for verdict in decision.verdicts['other'].values())


def test_a_child_that_is_named_stays_with_its_index():
    assert reasons(decide_images(to_inventory(WORLD), named(f'@{CHILD["digest"]}')))[CHILD['digest']] == 'childOf'


def test_untagged_images_that_are_not_named_stay():
    other = image('untagged')
    world = [repository_of(INDEX, CHILD, other)]
    assert reasons(decide_images(to_inventory(world), named(':v1')))[other['digest']] == 'excluded'


def test_an_image_with_several_tags_that_is_not_named_stays_because_of_the_first_one():
    stays = dict(STAYS, tags=['v2', 'v3', 'v4'])
    decision = decide_images(to_inventory([repository_of(INDEX, CHILD, stays)]), named(':v1'))
    assert decision.verdicts[NAME][stays['digest']] == (True, 'tagged', 'v2', '')


def test_a_locked_image_stays_unless_locked_ones_were_asked_for():
    world = [repository_of(dict(STAYS, locks=['deleteEnabled']))]
    assert reasons(decide_images(to_inventory(world), named(':v2'))) == {STAYS['digest']: 'locked'}
    assert reasons(decide_images(to_inventory(world), named(':v2'), include_locked=True)) == {STAYS['digest']: 'named'}


def test_deleting_a_locked_image_alone_takes_nothing_unless_locked_ones_were_asked_for():
    locked = dict(STAYS, locks=['deleteEnabled'])
    (repository,) = to_inventory([repository_of(locked)]).repositories
    alone = Fallout(repository).of(locked['digest'])
    assert alone.goes == frozenset() and alone.stays[locked['digest']].reason == 'locked'
    assert Fallout(repository, include_locked=True).of(locked['digest']).goes == {locked['digest']}


def test_nothing_goes_beside_a_manifest_that_cannot_be_read():
    world = [repository_of(STAYS, unreadable(index('secret')))]
    decision = decide_images(to_inventory(world), named(':v2'))
    assert reasons(decision)[STAYS['digest']] == 'unreadable'
    assert decision.doomed == frozenset()


def test_an_image_that_is_pinned_is_refused_and_a_pinned_part_of_it_stays():
    with pytest.raises(Pinned, match='deploy.yaml:1'):
        decide_images(to_inventory(WORLD), named(':v1'), pins=pins('v1'))
    decision = decide_images(to_inventory(WORLD), named(':v1'), pins=pins(digest=CHILD['digest']))
    assert reasons(decision)[CHILD['digest']] == 'pinned'


@pytest.mark.parametrize(
    'more, going', [({'pins': pins(digest=CHILD['digest'])}, [INDEX, SIGNATURE]), ({'unsettled': young(Manifest)}, [])]
)
def test_what_is_pinned_or_too_young_does_not_go_with_a_named_image(more, going):
    decision = decide_images(to_inventory(WORLD), named(':v1'), **more)
    assert decision.doomed == {(NAME, each['digest']) for each in going}


def test_each_of_a_cycle_of_attachments_goes_with_the_named_one():
    first = image('first')
    second = image('second', tags=[attachment_tag(first['digest'])])
    first['tags'] = [attachment_tag(second['digest'])]
    decision = decide_images(to_inventory([repository_of(first, second)]), named(f'@{first["digest"]}'))
    assert decision.doomed_in(NAME) == {first['digest'], second['digest']}


# --- Tags ------------------------------------------------------------------------------------------------------------


def test_a_named_tag_goes_and_its_manifest_stays():
    world = [repository_of(dict(STAYS, tags=['v2', 'v3']))]
    decision = decide_untag(to_inventory(world), named(':v2', ':v3'))
    assert decision.doomed == frozenset()
    assert [tag for tag, _, _ in decision.untagged_in(decision.inventory.repositories[0])] == ['v2', 'v3']


def test_a_tag_that_is_pinned_or_locked_is_refused():
    with pytest.raises(Pinned):
        decide_untag(to_inventory(WORLD), named(':v1'), pins=pins('v1'))
    with pytest.raises(Locked):
        decide_untag(to_inventory([repository_of(STAYS, tag_locks={'v2': ['deleteEnabled']})]), named(':v2'))


def test_a_tag_that_is_too_young_is_refused_by_its_own_age_or_that_of_its_image_where_it_is_not_listed():
    inventory = to_inventory([repository_of(STAYS)])
    unlisted = replace(inventory, repositories=(replace(inventory.repositories[0], tags={}),))
    for looked_at, kind, other in ((inventory, Tag, Manifest), (unlisted, Manifest, Tag)):
        with pytest.raises(Young, match=f'another region: {NAME}:v2'):
            decide_untag(looked_at, named(':v2'), unsettled=young(kind))
        assert not decide_untag(looked_at, named(':v2'), unsettled=young(other)).tags[NAME]['v2'].kept


# --- Repositories ----------------------------------------------------------------------------------------------------


def test_everything_in_a_named_repository_goes_and_nothing_else():
    decision = decide_repository(to_inventory(WORLD), NAME)
    assert decision.doomed == {(NAME, each['digest']) for each in (CHILD, INDEX, SIGNATURE, STAYS)}


def test_what_is_in_other_repositories_is_not_selected_wherever_their_names_are_in_order():
    others = [repository_of(image('other'), name=name) for name in ('a', 'z')]
    decision = decide_repository(to_inventory([*WORLD[:1], *others]), NAME)
    told = {name: {verdict[:3] for verdict in found.values()} for name, found in decision.verdicts.items()}
    kept = {(True, 'excluded', 'repository not selected')}
    assert told == {'a': kept, NAME: {(False, 'named', f'repository {NAME}')}, 'z': kept}


def test_what_is_in_a_named_repository_goes_because_of_its_name_and_all_else_is_not_selected():
    verdicts = decide_repository(to_inventory(WORLD), NAME).verdicts
    told = {name: {(each.reason, each.because) for each in of.values()} for name, of in verdicts.items()}
    assert told == {NAME: {('named', f'repository {NAME}')}, 'other': {('excluded', 'repository not selected')}}


def test_a_repository_with_anything_locked_is_refused():
    with pytest.raises(Locked, match='repository deleteEnabled=false'):
        decide_repository(to_inventory([repository_of(STAYS, locks=['deleteEnabled'])]), NAME)
    with pytest.raises(Locked, match='tag v2 writeEnabled=false'):
        decide_repository(to_inventory([repository_of(STAYS, tag_locks={'v2': ['writeEnabled']})]), NAME)


def test_of_a_lock_with_several_flags_the_first_is_told_for_a_repository_that_is_named():
    both = ['deleteEnabled', 'writeEnabled']
    with pytest.raises(Locked, match='manifest deleteEnabled=false'):
        decide_repository(to_inventory([repository_of(dict(STAYS, locks=both))]), NAME)
    with pytest.raises(Locked, match='repository deleteEnabled=false'):
        decide_repository(to_inventory([repository_of(STAYS, locks=both)]), NAME)


def test_no_lock_is_taken_off_for_a_repository_that_is_named():
    assert not decide_repository(to_inventory(WORLD), NAME).include_locked


def test_a_repository_with_anything_too_young_is_refused_be_it_a_manifest_or_a_tag():
    inventory = to_inventory([repository_of(STAYS), repository_of(image('other', tags=['v1']), name='other')])
    with pytest.raises(Young, match=f'another region: {NAME}@{STAYS["digest"]}'):
        decide_repository(inventory, NAME, unsettled=young(Manifest))
    with pytest.raises(Young, match=f'another region: {NAME}:v2'):
        decide_repository(inventory, NAME, unsettled=young(Tag))
    assert decide_repository(inventory, NAME).doomed == {(NAME, STAYS['digest'])}


def test_a_repository_without_manifests_is_no_image():
    with pytest.raises(NotAnImage, match=f"'{NAME}' is empty"):
        decide_repository(to_inventory([repository_of()]), NAME)


@pytest.mark.parametrize(
    'lock, name',
    [
        ('repository deleteEnabled=false', ('--repository', NAME)),
        ('tag v2 writeEnabled=false', ('--image', f'{NAME}:v2')),
        ('manifest deleteEnabled=false', ('--image', f'{NAME}@{NOWHERE}')),
    ],
)
def test_what_is_locked_is_named_as_az_names_it(lock, name):
    assert name_of_locked(NAME, NOWHERE, lock) == name


def test_a_repository_with_anything_pinned_is_refused_unless_the_pin_is_of_nothing_there():
    with pytest.raises(Pinned):
        decide_repository(to_inventory(WORLD), NAME, pins('v1'))
    assert decide_repository(to_inventory(WORLD), NAME, pins(digest=NOWHERE)).doomed


def test_a_repository_of_which_not_all_is_listed_is_not_deleted():
    """What is not listed may be locked, and need what is."""
    inventory = to_inventory(WORLD)
    unlisted = [replace(each, unseen='it has 9 manifests, and 8 are listed') for each in inventory.repositories]
    with pytest.raises(NotWhole, match='it has 9 manifests'):
        decide_repository(replace(inventory, repositories=tuple(unlisted)), NAME)


def test_a_repository_in_which_something_is_hidden_is_not_deleted():
    inventory = to_inventory(WORLD)
    hidden = [replace(each, hidden=frozenset(each.manifests)) for each in inventory.repositories]
    with pytest.raises(NotWhole, match='is hidden from lists'):
        decide_repository(replace(inventory, repositories=tuple(hidden)), NAME)


# --- Limits and reasons ----------------------------------------------------------------------------------------------


def excess(flags, limits, *manifests):
    return first_excess(decide(to_inventory([repository_of(*manifests)]), policy_of(flags), NOW), limits)


def test_a_limit_that_is_broken_is_told():
    untagged = [image(f'image {number}') for number in range(3)]
    assert str(excess(Flags(), Limits(manifests=2), *untagged)) == '3 manifests would go and 2 are allowed'
    assert str(excess(Flags(), Limits(deletions=2), *untagged)) == '3 manifests and tags would go and 2 are allowed'
    assert excess(Flags(), Limits(3, 3, 100), *untagged) is None
    assert excess(Flags(), Limits(4, 4, 100), *untagged) is None


def test_a_manifest_that_loses_all_its_tags_counts_among_the_tagged_ones_that_go():
    all_of_one = Flags(match=('**:pr-*',))
    kept = image('kept', tags=['pr-1', 'main'])
    lost = image('lost', tags=['pr-2', 'pr-3'])
    found = excess(all_of_one, Limits(percent=10), kept, lost)
    assert (found.number, found.repository) == (1, NAME)
    assert str(found) == (
        f"1 of 2 tagged manifests in the repository '{NAME}' (50 percent) would lose their last tag, "
        'and no more than 10 percent may'
    )
    assert excess(all_of_one, Limits(percent=50), kept, lost) is None


def test_a_share_that_is_too_large_is_told_in_percent_and_says_what_only_loses_its_tags():
    going = ShareExcess('tagged manifests', 5, 50, 'app', 7, untagged=0)
    assert '5 of 7' in str(going) and '(71.43 percent) would go, and no more than 50 percent may' in str(going)
    assert '(71.43 percent) would go or lose their last tag, and' in str(replace(going, untagged=2))


def test_every_reason_has_a_sentence_with_its_cause():
    assert all('SOMETHING' in sentence_of(kept, reason, 'SOMETHING') for reason in TOLD for kept in (True, False))


def test_a_relation_is_told_otherwise_for_what_goes():
    assert sentence_of(True, 'childOf', 'X') == 'it is a part of the index X, which stays'
    assert sentence_of(False, 'childOf', 'X') == 'it is a part of the index X, which goes, and nothing else needs it'
    assert set(RELATIONS) < set(TOLD)


def test_a_tag_that_is_excluded_or_pinned_stays_whatever_the_rules_say():
    flags = Flags(match=('**:*',), exclude=('**:v2',))
    inventory = to_inventory([repository_of(STAYS, INDEX)])
    policy = replace(policy_of(flags), pins=pins('v1'))
    tags = decide(inventory, policy, NOW).tags[NAME]
    found = {name: (verdict.kept, verdict.reason) for name, verdict in tags.items()}
    assert found == {'v1': (True, 'pinned'), 'v2': (True, 'excluded')}
