"""A repository that refuses every call is told from a registry that does."""

from random import Random

from azext_acrprune.registry.protocol.stubborn import ROUNDS, ROUNDS_IN_TIME, SECONDS, Stubborn


def refused_by_one(times: int, seconds: float = 1.0) -> tuple[Stubborn, list[float | None], float]:
    """(what is known, what each refusal said, the time) after as many refusals, and a call to another between them."""
    known, said, now = Stubborn(), [], 0.0
    for _ in range(times):
        said.append(known.refused('odd', now, now))
        known.accepted('good', now + seconds / 4)
        now += seconds
    return known, said, now


def test_a_first_refusal_is_one_of_all_calls_and_the_next_ones_are_of_the_repository():
    known, said, now = refused_by_one(3)
    assert said == [None, 0.5, 1.0]
    assert not known.is_given_up('odd', now)


def test_after_some_rounds_it_is_given_up_and_nobody_else_is():
    known, _, now = refused_by_one(1 + ROUNDS)
    assert known.is_given_up('odd', now)
    assert not known.is_given_up('good', now) and not known.is_given_up(None, now)


def test_fewer_rounds_are_enough_after_some_time():
    known, _, now = refused_by_one(1 + ROUNDS_IN_TIME, SECONDS / ROUNDS_IN_TIME)
    assert known.is_given_up('odd', now)
    known, _, now = refused_by_one(ROUNDS_IN_TIME, SECONDS)
    assert not known.is_given_up('odd', now)


def test_while_nothing_is_accepted_a_refusal_is_one_of_all_calls():
    known = Stubborn()
    assert [known.refused('odd', now, now) for now in range(100)] == [None] * 100
    assert not known.is_given_up('odd', 100)


def test_what_was_sent_before_the_last_refusal_was_known_is_no_new_one():
    known = Stubborn()
    known.refused('odd', 0, 1)
    known.accepted('good', 2)
    assert known.refused('odd', 0.5, 3) is None
    assert known.refused('odd', 2, 4) == known.refused('odd', 3, 5) == 0.5


def test_one_that_accepts_something_begins_anew():
    known, _, now = refused_by_one(ROUNDS)
    known.accepted('odd', now)
    assert known.refused('odd', now, now) is None


def test_a_refusal_that_is_about_no_repository_is_one_of_all_calls():
    known, _, now = refused_by_one(ROUNDS)
    assert known.refused(None, now, now) is None


def test_where_half_of_all_calls_are_refused_hardly_any_repository_is_given_up():
    known, chance, now, given_up = Stubborn(), Random(1), 0.0, 0
    for number in range(200):
        while chance.random() < 0.5:
            known.refused(f'{number}', now, now)
            known.accepted('other', now + 0.5)
            now += 1
        given_up += known.is_given_up(f'{number}', now)
        known.accepted(f'{number}', now)
    assert given_up <= 2
