"""When a cell has been measured enough, what comes next, and which rounds count."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_rounds import CELL, FACTS, ROUND, a_round, changed, session, watched

from edgeprof.measure import schedule
from edgeprof.records import Method, Round

METHOD = Method()
DICE = np.random.default_rng


def simulate(method: Method, measure: list[Round]) -> tuple[list[Round], int]:
    """Carry out the schedule for one cell with the rounds of a simulated device; what was measured, and attempts."""
    done: list[Round] = []
    while (attempt := schedule.next_attempt(method, done, CELL, FACTS)) is not None:
        done.append(msgspec.structs.replace(measure[len(done)], attempt=attempt))
        assert len(done) < 200, "the schedule never ends"
    return done, schedule.counted(method, done, CELL, FACTS).attempts


def test_a_quiet_device_is_done_after_the_fewest_rounds() -> None:
    done, attempts = simulate(METHOD, session(DICE(1), 60))
    assert (len(done), attempts) == (METHOD.min_rounds, 1)


def test_a_restless_device_is_measured_until_its_rounds_are_used_up_and_once_more() -> None:
    method = msgspec.structs.replace(METHOD, max_rounds=20, cell_s=1000.0)
    rounds = session(DICE(2), 100, between=0.1)
    done, attempts = simulate(method, rounds)
    assert attempts == 2
    # Only the interval was too wide, so both attempts count together, up to twice the rounds.
    assert len(done) == 40
    assert len(schedule.counted(method, done, CELL, FACTS).rounds) == 40


def test_time_ends_an_attempt_but_never_before_the_fewest_rounds() -> None:
    slow = changed(session(DICE(3), 100, between=0.1), process_ns=3_000_000_000)
    done, _ = simulate(msgspec.structs.replace(METHOD, cell_s=6.0, again=False), slow)
    assert len(done) == METHOD.min_rounds
    done, _ = simulate(msgspec.structs.replace(METHOD, cell_s=30.0, again=False), slow)
    assert len(done) == 10


def test_a_passing_fault_is_measured_anew_and_only_the_second_attempt_counts() -> None:
    bad = watched(session(DICE(4), METHOD.min_rounds), wait_ns=100_000_000)
    good = session(DICE(5), 60)
    done, attempts = simulate(METHOD, bad + good)
    assert attempts == 2
    counted = schedule.counted(METHOD, done, CELL, FACTS).rounds
    assert {one.attempt for one in counted} == {1}
    assert len(done) == 2 * METHOD.min_rounds


def test_a_lasting_fault_is_not_measured_again() -> None:
    """Another precision stays another precision; measuring twice would only take time."""
    done, attempts = simulate(METHOD, changed(session(DICE(6), 60), precision_executed="bf16", ran=None))
    assert (len(done), attempts) == (METHOD.min_rounds, 1)


def test_nothing_is_measured_again_where_it_is_not_wanted() -> None:
    method = msgspec.structs.replace(METHOD, again=False)
    done, attempts = simulate(method, watched(session(DICE(7), 60), wait_ns=100_000_000))
    assert (len(done), attempts) == (METHOD.min_rounds, 1)


def test_a_fixed_number_of_rounds_is_what_it_says() -> None:
    for rounds in (1, 2, 3, 5, 30, 60):
        method = Method(min_rounds=rounds, max_rounds=rounds, again=False, cell_s=0.1)
        done, _ = simulate(method, session(DICE(rounds), 61))
        assert len(done) == rounds


def rounds_of(counts: dict[str, tuple[int, int]]) -> dict[str, list[Round]]:
    """Job -> so many rounds of the first and the second attempt."""
    found: dict[str, list[Round]] = {}
    position = 0
    for job, (first, second) in counts.items():
        found[job] = []
        for number in range(first + second):
            attempt = int(number >= first)
            one = msgspec.structs.replace(ROUND, job=job, round=number, attempt=attempt, position=position)
            found[job].append(one)
            position += 1
    return found


JOBS = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1)


@settings(deadline=None)
@given(counts=JOBS, due=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 1)), seed=st.integers(0, 99))
def test_a_cycle_holds_the_cells_that_are_least_far_and_new_places(
    counts: dict[str, tuple[int, int]], due: dict[str, int], seed: int
) -> None:
    rounds, method = rounds_of(counts), Method(order_seed=seed)
    places = schedule.cycle(due, rounds, method)
    assert places == schedule.cycle(dict(reversed(due.items())), rounds, method)
    if not due:
        assert places == []
        return
    assert len({place.job for place in places}) == len(places) > 0
    attempt = min(due.values())
    assert {place.attempt for place in places} == {attempt}
    far = {job: sum(one.attempt == attempt for one in rounds.get(job, [])) for job in due if due[job] == attempt}
    assert {place.job for place in places} == {job for job in far if far[job] == min(far.values())}
    taken = {one.position for each in rounds.values() for one in each}
    assert not taken & {place.position for place in places}
    for place in places:
        assert place.round == len(rounds.get(place.job, []))


def test_cycles_differ_in_their_order() -> None:
    """Else the same neighbour would always warm the machine for the next."""
    due = dict.fromkeys("abcdefghi", 0)
    orders = set()
    for count in range(5):
        rounds = rounds_of(dict.fromkeys(due, (count, 0)))
        orders.add(tuple(place.job for place in schedule.cycle(due, rounds, METHOD)))
    assert len(orders) == 5


@settings(deadline=None, max_examples=25)
@given(count=st.integers(0, 40), between=st.sampled_from([0.0, 0.003, 0.05, 0.5]), seed=st.integers(0, 999))
def test_some_work_is_always_left_while_a_cell_is_open(count: int, between: float, seed: int) -> None:
    """The progress bar never says that an open cell needs nothing, nor more than the limits allow."""
    rounds = [a_round(DICE(seed), number, between=between) for number in range(count)]
    left = schedule.left(METHOD, rounds, 0)
    assert 1 <= left <= max(METHOD.max_rounds, 1)
