"""Every reader of text from elsewhere, fed with whole documents that were cut, doubled, spliced and written over.

`fuzz_corpus/` holds the documents, in a folder for each reader. A reader answers, or raises the error that its
docstring names; anything else would be a traceback. Whatever breaks a reader is added to the corpus.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.apply.journal import JournalError, read_run, tags_taken_off
from azext_acrprune.apply.pin_locks import Marks, MarksUnreadable
from azext_acrprune.apply.retired import retirements_in
from azext_acrprune.archive.pure.layout import NotAnArchive, parse_index, salvaged_index
from azext_acrprune.archive.pure.lost import keys_of_lost, lost_in, moves_in
from azext_acrprune.archive.pure.past import came_back_in
from azext_acrprune.archive.pure.run_story import deleted_later, is_by_rules, requests_of, story_of, summary_of, undo_of
from azext_acrprune.decide.manifests import read_labels, read_manifest
from azext_acrprune.decide.owed import owed_in
from azext_acrprune.documents.inventory_file import NotAnInventory, read_inventory
from azext_acrprune.documents.plan import sealed
from azext_acrprune.documents.planned import PlanRefused, decide_as_planned, read_plan
from azext_acrprune.inventory.packing import Blobs, unpacked_content
from azext_acrprune.policy.cases import parse_cases
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.parsing import PolicyError
from azext_acrprune.registry.protocol import listings
from azext_acrprune.registry.protocol.refusals import RegistryError, from_answer, parse_challenge
from azext_acrprune.registry.protocol.tokens import claims
from azext_acrprune.sources.failure import AskError
from azext_acrprune.sources.kubernetes import kubeconfig_file, listed
from azext_acrprune.sources.memory import Memory, UnreadableMemory
from azext_acrprune.state.registry_state import told_holder
from azext_acrprune.state.working_copy import SYNCED, Synced
from tests.examples import examples
from tests.worlds import NOW, image, repository_of, sha256, to_inventory

CORPUS = Path(__file__).with_name('fuzz_corpus')
INVENTORY = to_inventory([repository_of(image('a', [0], tags=['v1']), image('b', [1]), image('c', [2]))])
PAGES = (
    listings.parse_repositories,
    listings.parse_manifests,
    listings.parse_tags,
    listings.parse_deleted,
    listings.parse_manifest,
    listings.parse_tag,
    listings.parse_repository,
)


def of_manifest(data: bytes) -> None:
    read_manifest(sha256(data), data)
    read_labels(sha256(data), data)


def of_listing(data: bytes) -> None:
    with suppress(ValueError, RecursionError):  # as the client has it, an answer that is no JSON is none of a registry
        page = json.loads(data)
        for parse in PAGES if isinstance(page, dict) else ():
            with suppress(RegistryError, KeyError):
                parse(page)


def of_link(data: bytes) -> None:
    with suppress(ValueError):
        listings.next_page(data.decode('latin-1'), 'https://r.azurecr.io/acr/v1/_catalog')


def of_challenge(data: bytes) -> None:
    parse_challenge(data.decode('latin-1'))


def of_refusal(data: bytes) -> None:
    for status in (400, 401, 403, 404, 405, 429, 500):
        from_answer(status, data[:200].decode('latin-1'), data)


def of_token(data: bytes) -> None:
    claims(data.decode('latin-1'))


def of_policy(data: bytes) -> None:
    with suppress(PolicyError):
        parse_policy(data.decode('utf-8', 'replace'))


def of_policy_test(data: bytes) -> None:
    with suppress(PolicyError):
        parse_cases(data.decode('utf-8', 'replace'))


def of_plan(data: bytes) -> None:
    """A plan with a seal that matches is no accident; one that is read has been looked through all the same."""
    text = data.decode('utf-8', 'replace')
    with suppress(ValueError, RecursionError):
        document = json.loads(text)
        if isinstance(document, dict):
            document.pop('checksum', None)
            text = json.dumps(sealed(document))
    for each in (data.decode('utf-8', 'replace'), text):
        with suppress(PlanRefused):
            decide_as_planned(read_plan(each, 'test.azurecr.io', NOW), INVENTORY)


def of_inventory(data: bytes) -> None:
    with suppress(NotAnInventory):
        read_inventory(data.decode('utf-8', 'replace'))


def of_archive(data: bytes) -> None:
    with suppress(NotAnArchive):
        parse_index(data)
    salvaged_index(data)


def of_journal(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(JournalError):
        (Path(folder) / 'run.jsonl').write_bytes(data)
        lines = read_run(Path(folder), 'run')
        list(tags_taken_off(lines))
        keys_of_lost(lost_in(lines))
        moves_in(lines)
        list(came_back_in(lines))
        retirements_in([lines])
        owed_in('run', lines)
        for told in (summary_of, story_of, undo_of):
            told('run', lines)
        requests_of(lines)
        deleted_later(lines)
        is_by_rules(lines)


def of_memory(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(UnreadableMemory):
        path = Path(folder) / 'ran.jsonl'
        path.write_bytes(data)
        Memory(path).every()


def of_holder(data: bytes) -> None:
    told_holder(data)


def of_synced(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / SYNCED).write_bytes(data)
        synced = Synced(Path(folder))
        for name in ('runs/run.jsonl', 'cache.sqlite'):
            synced.version(name)
            synced.is_as(name, Path(folder) / name, 'v')
            synced.is_unchanged(name, Path(folder) / name)


def of_marks(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(MarksUnreadable):
        path = Path(folder) / 'marks'
        path.write_bytes(data)
        Marks(path).all()


def of_cluster(data: bytes) -> None:
    with suppress(AskError):
        listed('kubectl', data)


def of_kubeconfig(data: bytes) -> None:
    with suppress(AskError), kubeconfig_file('aks:one', base64.b64encode(data).decode()):
        pass


READERS: dict[str, Callable[[bytes], None]] = {
    name.removeprefix('of_'): reader for name, reader in list(globals().items()) if name.startswith('of_')
}
SEEDS = {kind: [path.read_bytes() for path in sorted((CORPUS / kind).iterdir())] for kind in READERS}
PIECES = [
    b'null',
    b'[]',
    b'{}',
    b'-1',
    b'1e999',
    b'NaN',
    b'true',
    b'"\\ud800"',
    b'"',
    b'\\',
    b'\n',
    b'\xff',
    b'\x00',
    b': ',
    b'[' * 100_000,
]


@st.composite
def spoiled(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A document in which up to five places were cut out, doubled, taken from another one, or written over."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        other = draw(st.sampled_from(seeds))
        taken = draw(st.integers(0, len(other)))
        new = draw(
            st.sampled_from([b'', data[start:end] * 2, other[taken : taken + 40], *PIECES]) | st.binary(max_size=9)
        )
        data = data[:start] + new + data[end:]
    return data


def test_each_reader_has_a_corpus_and_reads_it():
    assert {path.name for path in CORPUS.iterdir()} == set(READERS)
    for kind, seeds in SEEDS.items():
        assert seeds, kind
        for seed in seeds:
            READERS[kind](seed)


@pytest.mark.parametrize('kind', READERS)
@examples(60)
@given(st.data())
def test_a_spoiled_document_is_read_or_is_an_error_of_ours(kind, data):
    READERS[kind](data.draw(spoiled(SEEDS[kind])))


@examples(100)
@given(st.binary(max_size=200))
def test_a_row_of_the_cache_that_is_damaged_is_told_by_its_checksum_and_never_runs_wild(packed):
    with suppress(ValueError, KeyError, TypeError, IndexError, OverflowError, __import__('struct').error):
        unpacked_content(packed, Blobs())
