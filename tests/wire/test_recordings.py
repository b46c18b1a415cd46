"""The real service's recorded answers, read and replayed through our client.

ACRPRUNE_RECORDINGS names their folder; by default it lies beside the repository.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import vcr
import yaml

from azext_acrprune.decide.decision import decide
from azext_acrprune.model import Content, Inventory, Repository, parse_ticks
from azext_acrprune.policy.rules import untagged_policy
from azext_acrprune.registry.protocol import listings as wire
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError, from_answer, parse_challenge
from azext_acrprune.registry.protocol.tokens import Password, RefreshToken, TokenBook
from tests.wire.conftest import not_again, opened, unhurried
from tests.wire.plain import Client

BESIDE = Path(__file__).resolve().parents[3] / 'shared' / 'recordings'
FOLDER = Path(os.environ.get('ACRPRUNE_RECORDINGS', BESIDE))
FILES = sorted(FOLDER.glob('*.yaml'))
CUT = 'test_container_registry_client.test_list_repository_names_by_page.yaml'
HELLO = 'library/hello-world'

pytestmark = pytest.mark.skipif(
    not FILES, reason='the recordings of the real service are not here: set ACRPRUNE_RECORDINGS to their folder'
)


class Exchange(NamedTuple):
    """One recorded request with its answer."""

    file: str
    method: str
    url: str
    status: int
    headers: dict
    body: str

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.url).path)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((values[0] for key, values in self.headers.items() if key.lower() == name), None)


def exchanges() -> Iterator[Exchange]:
    for file in FILES:
        for recorded in yaml.load(file.read_text(encoding='utf-8'), yaml.CSafeLoader)['interactions']:
            request, response = recorded['request'], recorded['response']
            yield Exchange(
                file.name,
                request['method'],
                request['uri'],
                response['status']['code'],
                response['headers'],
                response['body']['string'],
            )


ALL = list(exchanges())
GOOD_READS = [exchange for exchange in ALL if exchange.status == 200 and exchange.path.startswith('/acr/v1/')]


def answers(ending: str) -> list:
    return [exchange for exchange in GOOD_READS if exchange.path.endswith(ending)]


# Parsing


def test_every_recorded_catalog_page_parses():
    pages = [(page.json['repositories'], wire.parse_repositories(page.json)) for page in answers('_catalog')]
    assert len(pages) >= 5 and (None, []) in pages
    assert all(names == (recorded or []) for recorded, names in pages)


def test_every_recorded_manifest_listing_parses():
    listings = answers('_manifests')
    assert len(listings) >= 8
    for listing in listings:
        entries = listing.json['manifests']
        manifests = wire.parse_manifests(listing.json)
        assert [manifest.digest for manifest in manifests] == [entry['digest'] for entry in entries]
        assert [list(manifest.tags) for manifest in manifests] == [sorted(entry.get('tags', [])) for entry in entries]
        assert all(manifest.updated_at and not manifest.locks.locked for manifest in manifests)
        assert all(manifest.media_type for manifest in manifests)


def test_every_recorded_single_manifest_parses_as_an_entry():
    found = [exchange.json['manifest'] for exchange in GOOD_READS if 'manifest' in exchange.json]
    assert len(found) >= 8
    manifests = [wire.parse_manifests({'manifests': [entry]})[0] for entry in found]
    assert {manifest.locks.locked for manifest in manifests} == {True, False}


def test_every_recorded_tag_listing_parses():
    listings = answers('_tags')
    assert len(listings) >= 3
    assert all(all(not tag.locks.locked for tag in wire.parse_tags(listing.json)) for listing in listings)


def test_every_recorded_repository_and_tag_shows_its_locks():
    attributes = [
        document['changeableAttributes']
        for exchange in GOOD_READS
        for document in (exchange.json, exchange.json.get('tag') or {})
        if 'changeableAttributes' in document
    ]
    assert len(attributes) >= 6
    for flags in attributes:
        assert wire.parse_locks(flags).locked == (not (flags['deleteEnabled'] and flags['writeEnabled']))


def test_every_recorded_time_can_be_read():
    times = [
        entry[key]
        for exchange in GOOD_READS
        for entry in entries_of(exchange.json)
        for key in ('createdTime', 'lastUpdateTime')
    ]
    assert len(times) > 100
    assert all(parse_ticks(text) for text in times)


def entries_of(document: Any) -> Iterator[dict]:
    if isinstance(document, dict):
        if 'createdTime' in document:
            yield document
        for value in document.values():
            yield from entries_of(value)
    elif isinstance(document, list):
        for value in document:
            yield from entries_of(value)


def test_every_recorded_link_leads_to_what_was_asked_next():
    linked = [exchange for exchange in ALL if exchange.header('link')]
    assert len(linked) >= 8
    for exchange in linked:
        url = wire.next_page(exchange.header('link'), exchange.url)
        assert urlsplit(url).netloc == urlsplit(exchange.url).netloc
        asked = {page_of(other.url) for other in ALL if other.file == exchange.file}
        assert page_of(url) in asked or leads_into_the_cut(exchange), f'{exchange.file}: {url}'


def leads_into_the_cut(exchange: Exchange) -> bool:
    """Of one recording only the first and the last two pages were kept."""
    pages = [other for other in ALL if other.file == CUT and other.header('link')]
    return exchange is pages[1]


def page_of(url: str) -> tuple:
    parts = urlsplit(url)
    query = {name: value for name, value in parse_qsl(parts.query) if name not in ('api-version', 'orderby')}
    return unquote(parts.path), tuple(sorted(query.items()))


@pytest.mark.parametrize(
    'exchange',
    [exchange for exchange in ALL if exchange.status >= 400],
    ids=lambda exchange: f'{exchange.file}-{exchange.status}',
)
def test_every_recorded_error_has_its_kind(exchange):
    error = from_answer(exchange.status, exchange.header('www-authenticate'), exchange.body.encode())
    plain = not exchange.header('content-type').startswith('application/json')
    known = {401: Kind.UNAUTHENTICATED, 404: Kind.UNAVAILABLE if plain else Kind.NOT_FOUND}
    assert error.kind is known[exchange.status]
    assert error.message and error.message in exchange.body
    if not plain:
        assert error.code == exchange.json['errors'][0]['code']
    if exchange.status == 401:
        assert error.actions
        assert parse_challenge(exchange.header('www-authenticate'))['realm'].endswith('/oauth2/token')


def test_all_404_codes_are_there():
    errors = [from_answer(exchange.status, None, exchange.body.encode()) for exchange in ALL if exchange.status == 404]
    assert {error.code for error in errors} == {'MANIFEST_UNKNOWN', 'NAME_UNKNOWN', 'TAG_UNKNOWN', None}


# Replaying


def loosely(recorded: Any, asked: Any) -> bool:
    """The same method and path; the old client asked without `n` and in other pages."""
    return recorded.method == asked.method and unquote(recorded.path) == unquote(asked.path)


def by_page(recorded: Any, asked: Any) -> bool:
    wanted = dict(parse_qsl(urlsplit(asked.uri).query)).get('last')
    return loosely(recorded, asked) and dict(parse_qsl(urlsplit(recorded.uri).query)).get('last') == wanted


def without_challenges(response: dict) -> dict | None:
    """The old client began each call without a token; ours never does."""
    return None if response['status']['code'] == 401 else response


@contextmanager
def replayed(name: str, refresh: bool = False) -> Iterator[Client]:
    """Our client on the recorded answers, but for the 401s that the old client's habit of asking first led to."""
    file = FOLDER / f'{name}.yaml'
    host = next(urlsplit(exchange.url).netloc for exchange in ALL if exchange.file == file.name)
    player = vcr.VCR(record_mode='none', before_record_response=without_challenges)
    player.register_matcher('by_page', by_page)
    book = TokenBook(host, RefreshToken('REDACTED') if refresh else Password('', ''), time.time())
    with (
        player.use_cassette(str(file), match_on=['by_page']),
        opened(f'https://{host}', book, not_again, 1, unhurried()) as client,
    ):
        yield client


@pytest.mark.parametrize(
    'name, manifests, tagged',
    [
        ('test_anon_access.test_list_manifests', 12, 1),
        ('test_anon_access.test_list_manifest_properties', 12, 1),
        ('test_container_repository_client.test_list_registry_artifacts', 10, 1),
    ],
)
def test_recorded_listings_replayed(name, manifests, tagged):
    with replayed(name) as client:
        found = [manifest for page in client.manifests(repository_in(name)) for manifest in page]
    assert (len(found), sum(1 for manifest in found if manifest.tags)) == (manifests, tagged)


def test_recorded_manifest_pages_replayed_to_the_end():
    name = 'test_container_repository_client.test_list_registry_artifacts_by_page'
    with replayed(name, refresh=True) as client:
        pages = list(client.manifests(repository_in(name)))
    assert [len(page) for page in pages] == [2] * 5
    digests = [manifest.digest for page in pages for manifest in page]
    assert digests == sorted(set(digests))


def test_recorded_catalog_pages_replayed_to_the_end():
    with replayed('test_container_registry_client.test_list_repositories_by_page', refresh=True) as client:
        names = [name for page in client.repositories() for name in page]
    assert len(names) == len(set(names)) >= 4


def test_recorded_repository_locks_replayed():
    name = 'test_anon_access.test_get_repository_properties'
    with replayed(name) as client:
        assert not client.repository_facts(repository_in(name)).locks.locked


def test_recorded_tags_replayed():
    name = 'test_anon_access.test_list_tag_properties'
    with replayed(name) as client:
        assert not any(tag.locks.locked for page in client.tags(repository_in(name)) for tag in page)


def test_recorded_delete_replayed():
    name = 'test_container_registry_client.test_delete_manifest'
    deleted = deleted_in(name)
    with replayed(name, refresh=True) as client:
        client.delete_manifest(*deleted)


def test_recorded_delete_of_what_is_gone_replayed():
    name = 'test_container_registry_client.test_delete_manifest_does_not_exist'
    deleted = deleted_in(name)
    with replayed(name, refresh=True) as client, pytest.raises(RegistryError) as raised:
        client.delete_manifest(*deleted)
    assert (raised.value.kind, raised.value.code) == (Kind.NOT_FOUND, 'MANIFEST_UNKNOWN')


def repository_in(name: str) -> str:
    """The repository that a recording is about."""
    path = next(exchange.path for exchange in ALL if exchange.file == f'{name}.yaml' and '/acr/v1/' in exchange.path)
    return path.partition('/acr/v1/')[2].partition('/_')[0]


def deleted_in(name: str) -> tuple:
    path = next(exchange.path for exchange in ALL if exchange.file == f'{name}.yaml' and exchange.method == 'DELETE')
    repository, _, digest = path.partition('/v2/')[2].partition('/manifests/')
    return repository, digest


# The golden case


def golden_listing() -> dict:
    page = next(
        exchange.json
        for exchange in answers('_manifests')
        if exchange.file == 'test_anon_access.test_list_manifests.yaml'
    )
    return {manifest.digest: manifest for manifest in wire.parse_manifests(page)}


def golden_index() -> dict:
    return next(
        exchange.json['manifest']
        for exchange in GOOD_READS
        if exchange.file == 'test_anon_access.test_get_manifest_properties.yaml'
        and 'references' in exchange.json.get('manifest', {})
    )


def golden_inventory() -> Inventory:
    """The recorded listing; the indexes name what the index of the recordings says they name."""
    manifests, index = golden_listing(), golden_index()
    children = [reference['digest'] for reference in index['references']]
    stale, windows = (starting(manifests, start) for start in ('sha256:f2266cbf', 'sha256:ea0cfb27'))
    shared = [child for child in children if manifests[child].image_size == 525]
    contents = dict.fromkeys(manifests, Content(525))
    contents[index['digest']] = Content(5325, tuple(children))
    contents[stale] = Content(5325, (*shared, windows))
    assert (len(children), len(shared)) == (9, 8)
    repository = Repository(
        HELLO, {digest: manifest._replace(content=contents[digest]) for digest, manifest in manifests.items()}
    )
    return Inventory('fake_url.azurecr.io', (repository,), frozenset([HELLO]))


def starting(digests: Any, start: str) -> str:
    (digest,) = (digest for digest in digests if digest.startswith(start))
    return digest


def test_of_eleven_untagged_manifests_exactly_two_may_go():
    inventory = golden_inventory()
    manifests = inventory.repositories[0].manifests
    decision = decide(inventory, untagged_policy(), parse_ticks('2021-06-03T00:00:00Z'))
    assert sum(1 for manifest in manifests.values() if not manifest.tags) == 11
    assert decision.doomed_in(HELLO) == {starting(manifests, 'sha256:f2266cbf'), starting(manifests, 'sha256:ea0cfb27')}


def test_of_the_twelve_nothing_may_go_while_they_are_young():
    decision = decide(golden_inventory(), untagged_policy(), parse_ticks('2021-05-12T00:00:00Z'))
    assert decision.doomed == frozenset()
