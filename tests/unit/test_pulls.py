"""Last pulls, by examples and against a world in which every pull is known."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.model import TICKS_PER_SECOND, Content, Inventory, Manifest, Repository, Tag, parse_ticks
from azext_acrprune.pins.pinned import Pins
from azext_acrprune.pins.pulls import (
    LONGEST_PERIOD,
    BadLog,
    LogTooShort,
    Pulled,
    Pushed,
    check_coverage,
    check_period,
    covered_since,
    last_pulls,
    pins_of,
    pulled_of,
    pushed_of,
)
from tests.examples import examples

DAY = 86_400 * TICKS_PER_SECOND
HOUR = 3_600 * TICKS_PER_SECOND
NOW = parse_ticks('2026-11-24T00:00:00Z')


def spans(*days):
    return [(NOW - day * DAY - HOUR, NOW - day * DAY) for day in days]


# --- what the log covers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'days,since',
    [
        ((), None),
        ((8,), None),
        ((0,), 0),
        ((0, 1, 2), 2),
        ((2, 0, 1), 2),
        ((0, 7, 14, 21), 21),
        ((0, 7, 15, 16), 7),
        ((6.9,), 6.9),
        ((-1, 3), 3),
    ],
)
def test_the_log_covers_what_has_no_hole_of_a_week(days, since):
    assert covered_since(spans(*days), NOW) == (None if since is None else min(NOW, NOW - int(since * DAY) - HOUR))


def test_a_day_counts_from_its_last_event():
    assert covered_since([(NOW - 8 * DAY, NOW - 6 * DAY)], NOW) == NOW - 8 * DAY


def test_a_log_that_is_too_short_says_from_which_day_it_is_long_enough():
    since = parse_ticks('2026-11-01T10:00:00Z')
    assert check_coverage(since, 10 * 86_400, NOW) == since
    with pytest.raises(LogTooShort) as error:
        check_coverage(since, 30 * 86_400, NOW)
    assert error.value.works_from == '2026-12-02'
    with pytest.raises(LogTooShort):
        check_coverage(None, 1, NOW)


@pytest.mark.parametrize('seconds', [0, -1, LONGEST_PERIOD + 1])
def test_a_period_of_nothing_or_of_for_ever_is_no_period(seconds):
    with pytest.raises(ValueError):
        check_period(seconds)


@pytest.mark.parametrize(
    'read,row',
    [
        (pulled_of, ['', 'sha256:a', '', '2026-11-24T00:00:00Z', '2026-11-24T00:00:00Z']),
        (pulled_of, [None, 'sha256:a', '', '2026-11-24T00:00:00Z', '2026-11-24T00:00:00Z']),
        (pulled_of, ['a', 5, '', '2026-11-24T00:00:00Z', '2026-11-24T00:00:00Z']),
        (pulled_of, ['a', 'sha256:a', ['x'], '2026-11-24T00:00:00Z', '2026-11-24T00:00:00Z']),
        (pulled_of, ['a', 'sha256:a', '', 'yesterday', '2026-11-24T00:00:00Z']),
        (pulled_of, ['a', 'sha256:a', '', '2026-11-24T00:00:00Z', None]),
        (pushed_of, ['a', 'v1', '', '2026-11-24T00:00:00Z']),
        (pushed_of, ['a', 'v1', 'sha256:a', 7]),
    ],
)
def test_a_row_that_is_not_one_is_an_error_and_no_pull(read, row):
    with pytest.raises(BadLog):
        read(row)


def test_names_and_digests_are_read_in_lower_case_and_tags_as_they_are():
    time = '2026-11-24T00:00:00.1234567Z'
    assert pulled_of(['Team/App', 'SHA256:AB', 'Latest', time, time]) == Pulled(
        'team/app', 'sha256:ab', 'Latest', NOW + 1234567, NOW + 1234567
    )


# --- a world in which every pull is known ----------------------------------------------------------------------------


@dataclass
class World:
    """One repository. `pulled` are the true (digest, instant) of each pull."""

    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, tuple[str, int]] = field(default_factory=dict)
    pulls: list[Pulled] = field(default_factory=list)
    pushes: list[Pushed] = field(default_factory=list)
    pulled: list[tuple[str, int]] = field(default_factory=list)


def history(seed: int, log_begins: int, tells: float) -> World:
    """Pushes and pulls in 100 days. The log begins at some day, and tells a pull's digest with some probability."""
    chance, world = random.Random(seed), World()
    for step in range(chance.randint(5, 60)):
        at = NOW - 100 * DAY + (step * 100 * DAY) // 60 + chance.randrange(HOUR)
        day = (at - NOW) // DAY + 100
        tag = chance.choice('abc')
        if chance.random() < 0.4 or tag not in world.tags:
            digest = f'sha256:{chance.randrange(8):064x}'
            world.manifests.setdefault(digest, Manifest(digest, Content(1), created_at=at, updated_at=at))
            world.tags[tag] = (digest, at)
            if day >= log_begins:
                world.pushes.append(Pushed('r', tag, digest, at))
        elif chance.random() < 0.1:
            del world.tags[tag]
        else:
            digest = world.tags[tag][0]
            if day >= log_begins:
                world.pulled.append((digest, at))
                told = chance.random()
                if told < tells:
                    world.pulls.append(Pulled('r', digest, tag if told < tells / 2 else None, at, at))
                else:
                    world.pulls.append(Pulled('r', None, tag, at, at))
    return world


def grouped(pulls: list[Pulled]) -> list[Pulled]:
    """As the service groups them: by name, those without a digest by day too."""
    groups: dict[tuple, list[int]] = {}
    for pull in pulls:
        groups.setdefault(
            (pull.repository, pull.digest, pull.tag, None if pull.digest else pull.first // DAY), []
        ).append(pull.first)
    return [Pulled(*key[:3], min(times), max(times)) for key, times in groups.items()]


def pinned_in(world: World, after: int, listed: bool = True) -> tuple[set[str], Pins]:
    tags = {digest: tuple(tag for tag, (at, _) in world.tags.items() if at == digest) for digest in world.manifests}
    repository = Repository(
        'r',
        {
            digest: Manifest(
                digest, manifest.content, tags[digest], created_at=manifest.created_at, updated_at=manifest.updated_at
            )
            for digest, manifest in world.manifests.items()
        },
        tags={tag: Tag(tag, digest, updated_at=at) for tag, (digest, at) in world.tags.items()} if listed else {},
    )
    pulls = last_pulls(0, grouped(world.pulls), world.pushes)
    pins = Pins(pins_of(pulls, Inventory('x', (repository,), frozenset({'r'})), after))
    return set(pins.on(repository)), pins


@examples(300)
@given(st.integers(0, 10**9), st.integers(0, 60), st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 90), st.booleans())
def test_whatever_was_really_pulled_is_pinned(seed, log_begins, tells, days, listed):
    world = history(seed, log_begins, tells)
    after = NOW - days * DAY
    pinned, _ = pinned_in(world, after, listed)
    assert {digest for digest, at in world.pulled if at >= after} <= pinned


@examples(300)
@given(st.integers(0, 10**9), st.integers(1, 90))
def test_where_the_log_tells_all_no_digest_is_pinned_but_what_was_pulled_or_has_a_tag_that_was(seed, days):
    world = history(seed, 0, 1.0)
    after = NOW - days * DAY
    pinned, pins = pinned_in(world, after)
    pulled = {digest for digest, at in world.pulled if at >= after}
    names = {pull.tag for pull in world.pulls if pull.tag and pull.last >= after}
    assert pinned == pulled | {world.tags[tag][0] for tag in names if tag in world.tags}
    assert set(pins.by_tag('r')) == names | {tag for tag, (digest, _) in world.tags.items() if digest in pulled}


def test_pulls_and_pushes_so_close_that_their_order_is_unknown_count_for_both():
    a, b = f'sha256:{1:064}', f'sha256:{2:064}'
    pushes = [Pushed('r', 'v', a, NOW - DAY), Pushed('r', 'v', b, NOW - HOUR)]
    for shift in (-200, 0, 200):
        at = NOW - HOUR + shift * TICKS_PER_SECOND
        pulls = last_pulls(0, [Pulled('r', None, 'v', at, at)], pushes)
        assert set(pulls.digests['r']) == {a, b} and not pulls.unresolved


@pytest.mark.parametrize('moved_at,pinned', [(2, {1}), (0.5, {1, 2})])
def test_a_tag_that_moved_without_a_push_may_have_pointed_to_anything_that_was_there(moved_at, pinned):
    names = {number: f'sha256:{number:064}' for number in (1, 2, 3)}
    made = {1: 3, 2: 3, 3: 0.1}  # days ago
    repository = Repository(
        'r',
        {
            names[number]: Manifest(
                names[number], Content(1), ('v',) if number == 1 else (), created_at=NOW - int(days * DAY)
            )
            for number, days in made.items()
        },
        tags={'v': Tag('v', names[1], updated_at=NOW - int(moved_at * DAY))},
    )
    pulls = last_pulls(0, [Pulled('r', None, 'v', NOW - DAY, NOW - DAY)], ())
    pins = Pins(pins_of(pulls, Inventory('x', (repository,), frozenset()), NOW - 2 * DAY))
    assert set(pins.on(repository)) == {names[number] for number in pinned}


def test_hostile_cycles_of_indexes_hang_nothing():
    a, b = f'sha256:{1:064}', f'sha256:{2:064}'
    repository = Repository(
        'r', {a: Manifest(a, Content(1, children=(b,)), ('x',)), b: Manifest(b, Content(1, children=(a,)), ('y',))}
    )
    pulls = last_pulls(0, [Pulled('r', a, None, NOW, NOW)], ())
    pins = Pins(pins_of(pulls, Inventory('x', (repository,), frozenset()), NOW))
    assert set(pins.by_tag('r')) == {'x', 'y'}
