"""The pacer against throttled servers on a virtual clock: how much of their rate is used, how much they refuse."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as some

from azext_acrprune.registry.protocol.pacing import A_MINUTE, Answer, Calls, Pacer, finite_number
from tests.examples import examples
from tests.unit.throttled import Bucket, Lying, Periods, Unthrottled, Windows, simulate

LONG_RUN = 200
SKUS = [('Standard', 83, 8), ('Premium', 166, 33)]
READS = [(sku, rate) for sku, rate, _ in SKUS]
DELETES = [(sku, rate) for sku, _, rate in SKUS]
LIMITS = [(sku, calls) for sku in ('Standard', 'Premium') for calls in (Calls.READS, Calls.WRITES, Calls.DELETES)]


def assert_well_paced(run, server, refused=0.02):
    assert run.rate >= 0.9 * server.rate, f'{run.rate / server.rate:.3f} of the rate'
    assert run.share_refused < refused, f'{run.share_refused:.4f} refused'


# Rate and refusals


def test_a_basic_registry_is_allowed_what_a_standard_one_is():
    assert A_MINUTE['basic'] == A_MINUTE['standard']


@pytest.mark.parametrize('retry_after', [None, 1])
@pytest.mark.parametrize('known', [True, False])
@pytest.mark.parametrize('sku, rate', READS)
def test_reads_use_the_rate_of_a_bucket(sku, rate, known, retry_after):
    server = Bucket(rate, retry_after=retry_after)
    assert_well_paced(simulate(Pacer(sku if known else None), server, LONG_RUN), server)


@pytest.mark.parametrize('retry_after', [None, 1])
@pytest.mark.parametrize('sku, rate', READS)
def test_reads_use_the_rate_of_fixed_windows(sku, rate, retry_after):
    server = Windows(rate, retry_after=retry_after)
    assert_well_paced(simulate(Pacer(sku), server, LONG_RUN), server)


@pytest.mark.parametrize(
    'make', [lambda rate: Bucket(rate, 60 * rate), lambda rate: Windows(rate, 60)], ids=['bucket', 'windows']
)
@pytest.mark.parametrize('sku, rate', READS)
def test_reads_use_what_is_counted_by_the_minute(sku, rate, make):
    server = make(rate)
    assert_well_paced(simulate(Pacer(sku), server, LONG_RUN, latency=0.02), server)


@pytest.mark.parametrize('retry_after', [None, 1])
@pytest.mark.parametrize('telling', [True, False])
@pytest.mark.parametrize('known', [True, False])
@pytest.mark.parametrize('sku, rate', DELETES)
def test_deletes_use_the_rate_of_a_bucket(sku, rate, known, telling, retry_after):
    server = Bucket(rate, retry_after=retry_after, telling=telling)
    run = simulate(Pacer(sku if known else None), server, LONG_RUN, Calls.DELETES)
    assert_well_paced(run, server)


@pytest.mark.parametrize('sku, rate', DELETES)
def test_deletes_that_are_told_what_is_left_are_hardly_ever_refused(sku, rate):
    server = Bucket(rate, telling=True)
    assert_well_paced(simulate(Pacer(sku), server, LONG_RUN, Calls.DELETES), server, refused=0.003)


@pytest.mark.parametrize('locks', [True, False])
@pytest.mark.parametrize('sku, calls', LIMITS)
def test_the_limits_of_the_service_are_used_and_nothing_is_sent_in_vain(sku, calls, locks):
    """A burst passes, then all wait for the end of the period that `Retry-After` tells."""
    server = Periods(A_MINUTE[sku.lower()][calls] / 60, locks=locks)
    run = simulate(Pacer(sku), server, 2 * LONG_RUN, calls)
    assert run.rate >= 0.95 * server.rate
    assert run.share_needless < 0.01 and run.share_refused < 0.01


def test_calls_of_all_tasks_wait_for_the_end_of_the_period_together():
    pacer = Pacer('Premium')
    accept(pacer, Calls.DELETES, 0.0, 100)
    refuse_together(pacer, Calls.DELETES, 1.0, 1.1, 5, retry_after=50)
    pacer.answered(Calls.DELETES, Answer(429, 49), 1.0, 2.0)
    assert pacer.wait(Calls.DELETES, 2.0) == pytest.approx(49.1)
    assert pacer.wait(Calls.WRITES, 2.0) == pacer.wait(Calls.READS, 2.0) == 0


@pytest.mark.parametrize('rate, sku', [(166, 'Basic'), (16, 'Premium'), (5, 'Standard'), (400, 'Premium')])
def test_the_documented_rate_of_a_sku_is_only_where_learning_starts(rate, sku):
    server = Bucket(rate)
    run = simulate(Pacer(sku), server, 2 * LONG_RUN, latency=0.02)
    assert_well_paced(run, server)


@pytest.mark.parametrize('rate', [16, 166])
def test_a_rate_that_is_cut_and_given_back_is_followed(rate):
    pacer = Pacer()
    for place, share in enumerate((1, 0.3, 1)):
        server = Bucket(rate * share)
        run = simulate(pacer, server, LONG_RUN, start=place * LONG_RUN)
        assert run.share_refused < 0.02
        assert len([time for time in run.accepted if time > (place + 0.5) * LONG_RUN]) >= 0.45 * server.rate * LONG_RUN


def test_few_calls_are_sent_ahead_before_the_rate_is_known():
    run = simulate(Pacer('Basic'), Bucket(16, retry_after=1), 1)
    assert len(run.accepted) >= 16 and 1 <= len(run.refused) <= 8


def test_nothing_is_held_back_while_nothing_is_refused():
    run = simulate(Pacer('Basic'), Unthrottled(), 10, threads=32, latency=0.02)
    assert run.rate > 500


def test_a_service_that_says_nothing_is_left_and_accepts_on_is_not_waited_for():
    run = simulate(Pacer(), Lying(), 10, Calls.DELETES, latency=0.02)
    assert run.rate > 400


# One pause for all


def accept(pacer, calls, now, number=1):
    for _ in range(number):
        assert pacer.wait(calls, now) == 0
        pacer.answered(calls, Answer(200), now, now)


def refuse_together(pacer, calls, sent_at, now, number, retry_after=None):
    for _ in range(number):
        assert pacer.wait(calls, sent_at) == 0
    for _ in range(number):
        pacer.answered(calls, Answer(429, retry_after), sent_at, now)


def test_many_refusals_at_once_are_one():
    once, often = Pacer('Basic'), Pacer('Basic')
    for pacer, number in ((once, 1), (often, 20)):
        accept(pacer, Calls.READS, 0.0, 400)
        refuse_together(pacer, Calls.READS, 1.0, 1.1, number)
    assert once.rate(Calls.READS) == often.rate(Calls.READS) == pytest.approx(5000 / 60)
    assert once.wait(Calls.READS, 1.1) == often.wait(Calls.READS, 1.1) == 0.5


@pytest.mark.parametrize('retry_after, seconds', [(None, 0.5), (0, 0.5), (7, 7), (3600, 60)])
def test_retry_after_is_the_pause_of_all(retry_after, seconds):
    pacer = Pacer()
    refuse_together(pacer, Calls.READS, 0.0, 0.1, 1, retry_after)
    assert pacer.wait(Calls.READS, 0.1) == pytest.approx(seconds)


def test_after_a_pause_one_call_goes_ahead_until_it_is_answered():
    pacer = Pacer()
    refuse_together(pacer, Calls.READS, 0.0, 0.1, 1)
    assert pacer.wait(Calls.READS, 1.0) == 0
    assert pacer.wait(Calls.READS, 1.5) > 0
    pacer.answered(Calls.READS, Answer(200), 1.0, 1.6)
    assert pacer.wait(Calls.READS, 1.6) == 0


def test_a_call_that_went_ahead_and_has_no_answer_does_not_stop_the_others():
    pacer = Pacer()
    refuse_together(pacer, Calls.READS, 0.0, 0.1, 1)
    assert pacer.wait(Calls.READS, 1.0) == 0
    pacer.lost(Calls.READS)
    assert pacer.wait(Calls.READS, 2.1) == 0


def test_pauses_double_while_all_is_refused_and_start_short_again():
    pacer, now, pauses = Pacer(), 0.0, []
    for _ in range(8):
        refuse_together(pacer, Calls.READS, now, now, 1)
        pauses.append(pacer.wait(Calls.READS, now))
        now += pauses[-1]
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 16, 16, 16])
    accept(pacer, Calls.READS, now)
    refuse_together(pacer, Calls.READS, now + 1, now + 1, 1)
    assert pacer.wait(Calls.READS, now + 1) <= 0.5


def test_it_is_hopeless_after_minutes_of_refusals_and_not_after_one_that_was_accepted():
    pacer = Pacer()
    refuse_together(pacer, Calls.WRITES, 0.0, 0.0, 1)
    assert not pacer.hopeless(Calls.WRITES, 170)
    assert pacer.hopeless(Calls.WRITES, 190) and not pacer.hopeless(Calls.READS, 190)
    accept(pacer, Calls.WRITES, 191)
    assert not pacer.hopeless(Calls.WRITES, 1000)


def test_a_refusal_of_one_kind_slows_down_that_kind_alone():
    for refused in Calls:
        pacer = Pacer()
        refuse_together(pacer, refused, 0.0, 0.1, 1, retry_after=30)
        assert pacer.wait(refused, 0.2) > 29
        assert all(pacer.wait(other, 0.2) == 0 and pacer.rate(other) is None for other in Calls if other is not refused)


@pytest.mark.parametrize('left, expected', [(32, 32), (7, 500 / 60), (1e300, 2000 / 60)])
def test_what_is_left_in_a_second_tells_the_rate_to_begin_with(left, expected):
    pacer = Pacer()
    assert pacer.wait(Calls.DELETES, 0.0) == 0
    pacer.answered(Calls.DELETES, Answer(202, None, left), 0.0, 0.1)
    refuse_together(pacer, Calls.DELETES, 0.2, 0.3, 1)
    assert pacer.rate(Calls.DELETES) == pytest.approx(expected)


# --max-rate


@pytest.mark.parametrize('max_rate', [1, 30, 600, 5000])
def test_no_minute_has_more_calls_than_the_cap(max_rate):
    run = simulate(Pacer(max_rate=max_rate), Unthrottled(), 200)
    assert most_in_a_minute(run.sent) <= max_rate
    assert len(run.sent) >= 0.7 * max_rate * 200 / 60


def most_in_a_minute(times):
    return max(place + 1 - bisect_left(times, time - 60 + 1e-6) for place, time in enumerate(times))


def test_the_cap_is_for_reads_and_writes_together_and_not_for_tokens():
    pacer = Pacer(max_rate=60)
    assert pacer.wait(Calls.READS, 0.0) == 0
    assert pacer.wait(Calls.WRITES, 0.0) == pytest.approx(1)
    assert pacer.wait(Calls.TOKENS, 0.0) == 0
    assert pacer.wait(Calls.WRITES, 1.0) == 0
    assert pacer.wait(Calls.READS, 1.5) == pytest.approx(0.5)


def test_a_cap_below_what_is_allowed_is_never_refused():
    server = Bucket(16)
    run = simulate(Pacer(max_rate=600), server, 100)
    assert not run.refused and run.rate > 9


# Hostile answers


@pytest.mark.parametrize(
    'text, number',
    [
        ('8.000000', 8),
        ('0', 0),
        ('166.633333', 166.633333),
        (None, None),
        ('', None),
        ('nan', None),
        ('inf', None),
        ('-1', None),
        ('many', None),
        ('1e999', None),
        ('8, 7', None),
    ],
)
def test_only_finite_numbers_are_taken_from_headers(text, number):
    assert finite_number(text) == number


HEADERS = some.none() | some.floats(0, allow_nan=False, allow_infinity=False)


@examples(200)
@given(
    some.lists(
        some.tuples(some.sampled_from([200, 202, 404, 429, 500]), HEADERS, HEADERS, some.floats(0, 5)), max_size=60
    )
)
def test_whatever_the_answers_say_a_call_may_be_sent_within_a_minute(answers):
    pacer, now = Pacer(), 0.0
    for status, retry_after, remaining, seconds in answers:
        waited = 0.0
        while (wait := pacer.wait(Calls.WRITES, now + waited)) > 0:
            assert math.isfinite(wait)
            waited += wait
        assert waited <= 61
        now += waited + seconds
        pacer.answered(Calls.WRITES, Answer(status, retry_after, remaining), now - seconds, now)
