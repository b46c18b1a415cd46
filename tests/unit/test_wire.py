"""JSON of the metadata API: null lists, absent keys, 7-digit times, links."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.model import TICKS_PER_SECOND, Locks, NotRead, Tag, parse_ticks
from azext_acrprune.registry.protocol.listings import (
    OddName,
    RepositoryFacts,
    listed_manifests,
    listed_tags,
    next_page,
    parse_locks,
    parse_manifests,
    parse_repositories,
    parse_repository,
    parse_tags,
    seconds_ahead,
)
from azext_acrprune.registry.protocol.refusals import RegistryError

DIGEST = 'sha256:' + 'a' * 64
PAGE = 'https://r.azurecr.io/acr/v1/a/b/_manifests?n=2'


@pytest.mark.parametrize(
    'parse, key, nothing',
    [(parse_repositories, 'repositories', []), (parse_manifests, 'manifests', []), (parse_tags, 'tags', [])],
)
def test_an_empty_listing_may_be_null(parse, key, nothing):
    assert parse({key: None, 'registry': 'r'}) == parse({key: []}) == nothing


@pytest.mark.parametrize('parse', [parse_repositories, parse_manifests, parse_tags])
@pytest.mark.parametrize('page', [{}, {'message': 'Welcome'}, {'errors': []}])
def test_an_answer_without_the_list_is_no_empty_listing(parse, page):
    with pytest.raises(KeyError):
        parse(page)


def test_repositories_keep_their_order():
    assert parse_repositories({'repositories': ['b', 'a/c']}) == ['b', 'a/c']


def test_a_manifest_with_nothing_but_its_digest():
    (manifest,) = parse_manifests({'manifests': [{'digest': DIGEST}]})
    assert manifest.digest == DIGEST
    assert (manifest.tags, manifest.image_size, manifest.updated_at, manifest.media_type) == ((), 0, None, None)
    assert manifest.locks == Locks()
    assert isinstance(manifest.content, NotRead)


def test_every_field_of_a_manifest():
    (manifest,) = parse_manifests(
        {
            'manifests': [
                {
                    'digest': DIGEST,
                    'imageSize': 61630,
                    'createdTime': '2021-11-17T21:45:12.4093699Z',
                    'lastUpdateTime': '2021-11-17T21:45:14.4588314Z',
                    'mediaType': 'm',
                    'artifactType': 'a',
                    'tags': ['v2', 'latest'],
                    'changeableAttributes': {'deleteEnabled': False, 'writeEnabled': True},
                }
            ]
        }
    )
    assert (manifest.tags, manifest.image_size, manifest.media_type) == (('latest', 'v2'), 61630, 'm')
    assert (manifest.artifact_type, manifest.created_time) == ('a', '2021-11-17T21:45:12.4093699Z')
    assert manifest.last_update_time == '2021-11-17T21:45:14.4588314Z'
    assert manifest.updated_at == parse_ticks('2021-11-17T21:45:14.4588314Z')
    assert manifest.locks == Locks(delete_enabled=False)


@pytest.mark.parametrize(
    'text, ticks',
    [
        ('1970-01-01T00:00:00Z', 0),
        ('1970-01-01T00:00:01.0000001Z', 10_000_001),
        ('1970-01-01T00:00:01.5Z', 15_000_000),
        ('1970-01-01T00:00:00.894001Z', 8_940_010),
        ('1970-01-01T01:00:00+01:00', 0),
        ('1969-12-31T23:59:59.9999999Z', -1),
        ('1970-01-01T00:00:00.12345678Z', 1_234_567),
        ('1970-13-01T00:00:00Z', None),
        ('yesterday', None),
        ('', None),
        (None, None),
        (7, None),
    ],
)
def test_times_have_up_to_seven_digits(text, ticks):
    assert parse_ticks(text) == ticks


@given(moment=st.datetimes(), zone=st.integers(-1439, 1439))
def test_times_are_read_as_the_standard_library_reads_them(moment, zone):
    moment = moment.replace(tzinfo=timezone(timedelta(minutes=zone)))
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert parse_ticks(moment.isoformat()) == since // timedelta(microseconds=1) * 10


@given(text=st.from_regex(r'\A20\d\d-[01]\d-[0-3]\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)\Z'))
def test_what_is_no_time_for_the_standard_library_is_none_here(text):
    try:
        right = datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp() * TICKS_PER_SECOND
    except ValueError:
        right = None
    assert parse_ticks(text) == right


@pytest.mark.parametrize(
    'attributes, locks',
    [
        (None, Locks()),
        ({}, Locks()),
        ({'deleteEnabled': 'false'}, Locks(delete_enabled=False)),
        ({'writeEnabled': 0}, Locks(write_enabled=False)),
        ({'deleteEnabled': True, 'writeEnabled': True, 'listEnabled': False}, Locks(list_enabled=False)),
        ({'readEnabled': False}, Locks(read_enabled=False)),
        ({'deleteEnabled': None}, Locks()),
        ({'writeEnabled': False}, Locks(write_enabled=False)),
        ({'deleteEnabled': False, 'writeEnabled': False, 'quarantineState': 'Passed'}, Locks(False, False)),
    ],
)
def test_locks_are_what_is_said_to_be_off(attributes, locks):
    assert parse_locks(attributes) == locks


def test_tags_have_times_and_locks_of_their_own():
    when = '2021-11-17T21:45:14.4588314Z'
    tags = [
        {'name': 'bare', 'digest': 'sha256:a'},
        {
            'name': 'locked',
            'digest': 'sha256:b',
            'lastUpdateTime': when,
            'createdTime': 5,
            'changeableAttributes': {'writeEnabled': False},
        },
    ]
    assert parse_tags({'tags': tags}) == [
        Tag('bare', 'sha256:a'),
        Tag('locked', 'sha256:b', when, None, parse_ticks(when), Locks(write_enabled=False)),
    ]


@pytest.mark.parametrize(
    'entry, platform',
    [
        ({'os': 'linux', 'architecture': 'arm64'}, 'linux/arm64'),
        ({'os': 'linux'}, None),
        ({}, None),
        ({'os': 'linux', 'architecture': ['arm64']}, None),
    ],
)
def test_platform_is_the_system_and_the_architecture(entry, platform):
    assert parse_manifests({'manifests': [{'digest': 'sha256:a', **entry}]})[0].platform == platform


@pytest.mark.parametrize(
    'parse, page',
    [
        (parse_manifests, {'manifests': [{}]}),
        (parse_manifests, {'manifests': 5}),
        (parse_tags, {'tags': [{}]}),
        (parse_repositories, {'repositories': 5}),
    ],
)
def test_another_shape_is_an_error_that_the_client_knows(parse, page):
    with pytest.raises((KeyError, TypeError, ValueError, RegistryError)):
        parse(page)


@pytest.mark.parametrize('link', [None, '', '</acr/v1/x>; rel="prev"'])
def test_no_next_link_is_the_end(link):
    assert next_page(link, PAGE) is None


@pytest.mark.parametrize(
    'link, url',
    [
        (
            '</acr/v1/_catalog?last=library%2Fbusybox&n=2&orderby=>; rel="next"',
            'https://r.azurecr.io/acr/v1/_catalog?last=library%2Fbusybox&n=2&orderby=',
        ),
        (
            '</acr/v1/a/b/_manifests?last=sha256%3Aab&n=2&orderby=>; rel="next"',
            'https://r.azurecr.io/acr/v1/a/b/_manifests?last=sha256%3Aab&n=2&orderby=',
        ),
        ('</acr/v1/_catalog?last=x&n=2>;rel=next', 'https://r.azurecr.io/acr/v1/_catalog?last=x&n=2'),
        ('<%2Facr%2Fv1%2F_catalog%3Flast%3Dx%26n%3D2>; rel="next"', 'https://r.azurecr.io/acr/v1/_catalog?last=x&n=2'),
        ('<https://r.azurecr.io/acr/v1/_catalog?last=x>; rel="next"', 'https://r.azurecr.io/acr/v1/_catalog?last=x'),
        ('</other>; rel="prev", </acr/v1/_catalog?last=x>; rel="next"', 'https://r.azurecr.io/acr/v1/_catalog?last=x'),
    ],
)
def test_a_next_link_is_followed_on_the_same_host(link, url):
    assert next_page(link, PAGE) == url


@pytest.mark.parametrize(
    'target',
    [
        'https://evil.example/acr/v1/_catalog?last=x',
        '//evil.example/acr',
        'http://r.azurecr.io/acr/v1/_catalog',
        'https://r.azurecr.io:444/acr/v1/_catalog',
        'https://r.azurecr.io@evil.example/',
        '%2F%2Fevil.example%2Facr',
    ],
)
def test_a_link_to_another_host_is_refused(target):
    with pytest.raises(ValueError, match='another host'):
        next_page(f'<{target}>; rel="next"', PAGE)


HOSTILE = '\x1b[2J\x9b31m\u202e\r\n\ud800text'


def test_text_that_would_change_a_terminal_is_kept_as_it_came():
    """A document has to say what the registry said; whoever shows it makes it safe."""
    entry = dict.fromkeys(
        ('mediaType', 'artifactType', 'createdTime', 'lastUpdateTime', 'os', 'architecture', 'imageSize'), HOSTILE
    )
    (manifest,) = parse_manifests({'manifests': [{'digest': 'sha256:a', **entry}]})
    (tag,) = parse_tags({'tags': [{'name': 'v1', 'digest': 'sha256:a', **entry}]})
    texts = [
        manifest.media_type,
        manifest.artifact_type,
        manifest.created_time,
        manifest.last_update_time,
        manifest.platform,
        tag.last_update_time,
    ]
    assert set(texts) == {HOSTILE, f'{HOSTILE}/{HOSTILE}'}
    assert (manifest.created_at, manifest.updated_at, manifest.image_size) == (None, None, 0)


def test_a_time_that_is_no_text_is_none():
    (manifest,) = parse_manifests({'manifests': [{'digest': 'sha256:a', 'lastUpdateTime': {'$date': 5}}]})
    assert manifest.last_update_time is None


@pytest.mark.parametrize(
    'page, parse',
    [
        ({'manifests': [{'digest': 'sha256:ab/../cd'}]}, parse_manifests),
        ({'manifests': [{'digest': 'sha256:abcd', 'tags': ['v1\n']}]}, parse_manifests),
        ({'tags': [{'name': 'v 1'}]}, parse_tags),
    ],
)
def test_tags_and_digests_that_no_registry_writes_never_reach_a_terminal_or_a_url(page, parse):
    with pytest.raises(RegistryError, match='is not spelled'):
        parse(page)


@pytest.mark.parametrize(
    'name, shown',
    [
        ('team/\x1b[2Japp', 'team/\\u{1b}[2Japp'),
        ('../../etc', '../../etc'),
        ('Team/App', 'Team/App'),
        (None, 'null'),
        ({'name': 'a'}, '{"name": "a"}'),
    ],
)
def test_an_entry_of_the_catalog_that_is_no_name_is_one_for_people_only(name, shown):
    assert parse_repositories({'repositories': ['team/app', name]}) == ['team/app', OddName(shown)]


@pytest.mark.parametrize(
    'date, seconds',
    [
        ('Wed, 19 May 2021 21:19:10 GMT', 0),
        ('Wed, 19 May 2021 21:18:20 GMT', 0),
        ('Wed, 19 May 2021 21:17:10 GMT', 120),
        ('Wed, 19 May 2021 22:19:10 GMT', 0),
        (None, 0),
        ('yesterday', 0),
        ('Wed, 99 May 2021 21:19:10 GMT', 0),
        ('Wed, 19 May 99999999999 21:19:10 GMT', 0),
    ],
)
def test_how_far_a_clock_is_ahead_of_the_registry(date, seconds):
    assert seconds_ahead(date, 1_621_459_150.0) == seconds


# --- What is no answer, or would be read in another way by others ---------------------------------------------------


@pytest.mark.parametrize('listed', [{}, '', 0, False, {'digest': 'sha256:a'}, 'null'])
@pytest.mark.parametrize(
    'parse, key', [(parse_manifests, 'manifests'), (parse_tags, 'tags'), (parse_repositories, 'repositories')]
)
def test_what_is_no_list_is_no_empty_listing(parse, key, listed):
    with pytest.raises((KeyError, TypeError, ValueError)):
        parse({key: listed})
    assert parse({key: None}) == parse({key: []}) == []


@pytest.mark.parametrize(
    'entry',
    [
        {'Tags': ['v1']},
        {'tags': {'v1': 1}},
        {'tags': 'v1'},
        {'changeableAttributes': {'DeleteEnabled': False}},
        {'changeableAttributes': 'locked'},
        {'changeableAttributes': []},
        {'ChangeableAttributes': {}},
        {'MediaType': 'application/vnd.oci.image.index.v1+json'},
    ],
)
def test_an_entry_that_can_be_read_in_two_ways_has_no_shape(entry):
    with pytest.raises(RegistryError, match='is not as a registry writes it'):
        parse_manifests({'manifests': [{'digest': 'sha256:a', **entry}]})


@pytest.mark.parametrize('year, known', [('0001', False), ('1970', False), ('2014', False), ('2015', True)])
def test_a_time_before_there_was_such_a_registry_is_none(year, known):
    when = f'{year}-12-31T23:59:59Z'
    entry = {'digest': 'sha256:a', 'lastUpdateTime': when, 'createdTime': when}
    (manifest,), (tag,) = parse_manifests({'manifests': [entry]}), parse_tags({'tags': [{'name': 'v1', **entry}]})
    assert {manifest.updated_at, manifest.created_at, tag.updated_at, tag.created_at} == {
        parse_ticks(when) if known else None
    }


@pytest.mark.parametrize(
    'state, held',
    [('Passed', None), (None, None), ('Failed', 'Failed'), ('passed', 'passed'), ('', 'no readable state')],
)
def test_any_state_of_quarantine_but_passed_holds_an_image_back(state, held):
    entry = {'digest': 'sha256:a', 'changeableAttributes': {'quarantineState': state}}
    assert parse_manifests({'manifests': [entry]})[0].quarantine == held


def test_of_a_digest_that_is_listed_twice_all_holds_that_either_entry_says():
    late, early = '2021-11-17T21:45:14Z', '2020-11-17T21:45:14Z'
    pages = [
        [{'digest': 'sha256:a', 'tags': ['v1'], 'lastUpdateTime': early, 'mediaType': 'm'}],
        [
            {
                'digest': 'sha256:a',
                'tags': ['v2'],
                'lastUpdateTime': late,
                'mediaType': 'n',
                'changeableAttributes': {'deleteEnabled': False, 'quarantineState': 'Failed'},
            }
        ],
    ]
    for order in (pages, pages[::-1]):
        (manifest,) = listed_manifests(parse_manifests({'manifests': page}) for page in order).values()
        assert (manifest.tags, manifest.last_update_time, manifest.media_type) == (('v1', 'v2'), late, None)
        assert (manifest.locks, manifest.quarantine) == (Locks(delete_enabled=False), 'Failed')


def test_a_tag_that_is_listed_twice_is_where_it_was_put_last_and_locked_where_either_is():
    entries = [
        {'name': 'v1', 'digest': 'sha256:a', 'lastUpdateTime': '2020-11-17T21:45:14Z'},
        {'name': 'v1', 'digest': 'sha256:b', 'lastUpdateTime': '2021-11-17T21:45:14Z'},
    ]
    entries[0]['changeableAttributes'] = {'writeEnabled': False}
    for order in (entries, entries[::-1]):
        (tag,) = listed_tags([parse_tags({'tags': order})]).values()
        assert (tag.digest, tag.locks) == ('sha256:b', Locks(write_enabled=False))


def test_a_repository_says_how_much_it_has_and_may_be_silent():
    said = {'manifestCount': 3, 'tagCount': 0, 'changeableAttributes': {'deleteEnabled': False}}
    assert parse_repository(said) == RepositoryFacts(Locks(delete_enabled=False), 3, 0)
    assert parse_repository({'changeableAttributes': None}) == RepositoryFacts()


@pytest.mark.parametrize('count', [-1, '3', True, 1.0, [3]])
def test_a_count_that_is_no_number_is_an_error(count):
    with pytest.raises(RegistryError, match='no number'):
        parse_repository({'changeableAttributes': {}, 'manifestCount': count})


@pytest.mark.parametrize('date', [None, '', 'yesterday'])
def test_a_page_without_a_readable_date_leaves_the_clock_as_it_was(date):
    assert seconds_ahead(date, 1_000_000, 500.0) == 500.0
    assert seconds_ahead('Thu, 01 Jan 1970 00:00:00 GMT', 30, 500.0) == 0.0


@pytest.mark.parametrize(
    'link',
    [
        '</acr/v1/x>; rel=next',
        "</acr/v1/x>; rel='next'",
        '</acr/v1/x>;rel="next"',
        '</acr/v1/x>; REL="Next"',
        '</acr/v1/x>; title="page"; rel="next"',
        '</acr/v1/x>; rel="last next"',
        '</acr/v1/y>; rel="prev", </acr/v1/x>; rel="next"',
    ],
)
def test_a_link_is_read_in_any_spelling(link):
    assert next_page(link, PAGE) == 'https://r.azurecr.io/acr/v1/x'


@pytest.mark.parametrize('link', ['nonsense', '</acr/v1/x>', 'rel="next"'])
def test_a_link_that_cannot_be_read_is_an_error_and_no_end(link):
    with pytest.raises(ValueError):
        next_page(link, PAGE)
