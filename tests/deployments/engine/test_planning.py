"""The plan is a pure function: tables for what it chooses."""

from dataclasses import replace

import pytest

from deployments.engine.planning import plan
from deployments.engine.work import Order, Rules
from tests.deployments.engine.standings import LARGE, SMALL, FixedCosts, chosen, refused, standing


def test_nothing_to_do() -> None:
    assert chosen() == ()


def test_without_deadlines_first_come_is_first_served() -> None:
    assert chosen(standing(2), standing(1), standing(3)) == (1, 2, 3)


def test_the_earliest_deadline_leads() -> None:
    assert chosen(standing(1, deadline_s=90.0), standing(2, deadline_s=50.0), standing(3)) == (3, 2, 1)


def test_ties_go_to_the_one_that_came_first() -> None:
    assert chosen(standing(2, deadline_s=50.0), standing(1, deadline_s=50.0)) == (1, 2)


def test_a_batch_holds_one_shape_and_the_leader_chooses_it() -> None:
    queue = [standing(1), standing(2, shape=LARGE, deadline_s=20.0), standing(3), standing(4, shape=LARGE)]
    assert chosen(*queue) == (2, 4)


def test_a_batch_is_not_larger_than_its_shape_allows() -> None:
    assert chosen(*(standing(number) for number in range(9)), costs=FixedCosts(caps={SMALL: 3})) == (0, 1, 2)


def test_cancelled_requests_take_no_step() -> None:
    assert chosen(standing(1, cancelled=True), standing(2)) == (2,)


def test_what_cannot_be_on_time_even_alone_is_refused_with_the_prediction() -> None:
    """10 steps of 0.2 s and 0.5 s of decoding, with 2.4 s to go."""
    assert refused(standing(1, deadline_s=12.4), costs=FixedCosts(decode=0.5)) == {1: pytest.approx(2.5)}


def test_what_is_just_in_time_is_not_refused() -> None:
    assert refused(standing(1, deadline_s=12.5), costs=FixedCosts(decode=0.5)) == {}


def test_nobody_is_refused_on_a_guess() -> None:
    late = standing(1, deadline_s=10.1, refusable=False)
    assert refused(late) == {}
    assert chosen(late) == (1,)


def test_when_not_all_can_be_on_time_the_longest_is_given_up() -> None:
    """Full batches take 0.5 s for 4 requests: 0.125 s a request and step. Ten of the short and one long
    request are 1.25 s and 1.75 s of work; all are due in 2.9 s."""
    short = [standing(number, steps=1, deadline_s=12.9) for number in range(10)]
    long = standing(99, steps=14, deadline_s=12.9)
    assert refused(*short, long) == {99: pytest.approx(10 * 0.125 + 14 * 0.125)}


def test_what_has_begun_is_not_refused_but_goes_last() -> None:
    short = [standing(number, steps=1, deadline_s=12.9) for number in range(10)]
    long = standing(99, steps=14, deadline_s=12.9, steps_done=1)
    assert refused(*short, long) == {}
    assert 99 not in chosen(*short, long)
    assert chosen(*short[:2], long) == (0, 1, 99)


def test_company_is_kept_only_as_long_as_the_leader_is_on_time() -> None:
    """10 steps: 2 s alone, 3 s with one neighbour, 4 s with two."""
    company = [standing(number, steps=1) for number in (5, 6, 7)]
    assert chosen(standing(1, deadline_s=12.2), *company) == (1,)
    assert chosen(standing(1, deadline_s=13.2), *company) == (1, 5)
    assert chosen(standing(1, deadline_s=14.2), *company) == (1, 5, 6)


def test_patience_puts_a_request_without_deadline_before_later_ones_with_one() -> None:
    patient = standing(0, steps=1)
    rivals = [standing(number, steps=1, deadline_s=10.0 + number) for number in (1, 25)]
    assert chosen(patient, *rivals, rules=Rules(patience_s=20.0)) == (1, 0, 25)


def test_background_work_has_the_longer_patience() -> None:
    queue = [standing(1, background=True), standing(2), standing(3, deadline_s=200.0)]
    assert chosen(*queue, rules=Rules(patience_s=30.0, background_patience_s=300.0)) == (2, 3, 1)


def test_a_steady_request_is_padded_to_the_steady_width() -> None:
    batch = plan([standing(1, steady=True)], FixedCosts(), 10.0, Rules(steady_width=4)).batch
    assert batch is not None
    assert (batch.numbers, batch.width) == ((1,), 4)


def test_others_fill_the_padding_of_a_steady_request() -> None:
    queue = [standing(1, steady=True), *(standing(number) for number in range(2, 9))]
    batch = plan(queue, FixedCosts(caps={SMALL: 8}), 10.0, Rules(steady_width=4)).batch
    assert batch is not None
    assert (batch.numbers, batch.width) == ((1, 2, 3, 4), 4)


def test_without_steady_requests_nothing_is_padded() -> None:
    batch = plan([standing(1), standing(2)], FixedCosts(), 10.0, Rules(steady_width=4)).batch
    assert batch is not None
    assert batch.width is None


def test_a_leader_short_of_time_takes_no_steady_company() -> None:
    """The steady one would widen the batch to 4, which the leader cannot afford."""
    queue = [standing(1, deadline_s=13.2), standing(2, steady=True), standing(3)]
    batch = plan(queue, FixedCosts(), 10.0, Rules(steady_width=4)).batch
    assert batch is not None
    assert (batch.numbers, batch.width) == ((1, 3), None)


def test_a_suspect_runs_alone_and_first() -> None:
    assert chosen(standing(1, alone=True), standing(2)) == (1,)
    assert chosen(standing(1), standing(2, alone=True), standing(3)) == (2,)


def test_first_come_order_gives_nobody_up() -> None:
    short = [standing(number, steps=1, deadline_s=13.0) for number in range(1, 11)]
    long = standing(0, steps=14, deadline_s=12.9)
    decision = plan([*short, long], FixedCosts(), 10.0, Rules(order=Order.ARRIVAL))
    assert not decision.refused
    assert decision.batch is not None
    assert decision.batch.numbers == (0, 1, 2, 3)


def test_without_deadlines_the_long_step_aside_for_the_short() -> None:
    """A step of two takes 0.3 s, of one 0.2 s: without the long one the short one is done in 2/3 the time."""
    assert chosen(standing(1, steps=30), standing(2, steps=4), now_s=3.0) == (2,)
    assert chosen(standing(1, steps=29, steps_done=1), standing(2, steps=4), now_s=3.0) == (2,)


def test_where_company_costs_next_to_nothing_nobody_steps_aside() -> None:
    queue = [standing(1, steps=30), standing(2, steps=4)]
    assert chosen(*queue, costs=FixedCosts(fixed_s=1.0, per_request_s=0.01)) == (2, 1)


def test_nobody_steps_aside_on_a_guess() -> None:
    queue = [standing(1, steps=30), standing(2, steps=4)]
    assert chosen(*queue, costs=FixedCosts(fixed_s=0.0, per_request_s=0.0)) == (1, 2)


def test_nobody_steps_aside_for_its_like() -> None:
    """However little is left of it."""
    queue = [standing(1, steps=2, steps_done=26), standing(2, steps=28), standing(3, steps=28)]
    assert chosen(*queue, costs=FixedCosts(fixed_s=0.0)) == (1, 2, 3)


def test_the_long_take_no_place_from_the_short() -> None:
    long = [standing(number, steps=30) for number in range(4)]
    assert chosen(*long, standing(8, steps=4), standing(9, steps=4), now_s=5.0) == (8, 9)


def test_who_has_waited_for_its_own_time_steps_aside_no_more() -> None:
    """Alone, 30 steps take 6 s; it came after 1 s."""
    queue = [standing(1, steps=30), standing(2, steps=4, arrived_s=6.0)]
    assert chosen(*queue, now_s=6.9) == (2,)
    assert chosen(*queue, now_s=7.1) == (1, 2)


def test_of_those_that_have_waited_only_the_first_takes_a_place_from_the_short() -> None:
    """The others fill what is left: a rush of short ones is not stuck behind a batch full of long ones, and
    no place stays empty."""
    long = [standing(number, steps=30) for number in range(1, 5)]
    short = [standing(number, steps=4, arrived_s=25.0) for number in (7, 8, 9)]
    assert chosen(*long, *short, now_s=25.5) == (1, 7, 8, 9)
    assert chosen(*long[1:], *short[:2], now_s=25.5) == (2, 7, 8, 3)


def test_who_is_out_of_patience_steps_aside_no_more() -> None:
    queue = [standing(1, steps=30), standing(2, steps=4, arrived_s=12.0)]
    assert chosen(*queue, now_s=12.9, rules=Rules(patience_s=11.0)) == (1, 2)


def test_background_work_steps_aside_for_as_long_as_its_patience() -> None:
    queue = [standing(1, steps=30, background=True), standing(2, steps=4, arrived_s=300.0)]
    assert chosen(*queue, now_s=300.5) == (2,)
    assert chosen(*queue, now_s=301.5) == (1, 2)


def test_who_has_ample_time_until_its_deadline_steps_aside_too() -> None:
    """In full batches the short one is done at 5.5 s and the long one at 9.25 s, which needs 15 s from step
    to step: twice that is left until 39.25 s."""
    short = standing(2, steps=4)
    assert chosen(standing(1, steps=30, deadline_s=39.5), short, now_s=5.0) == (2,)
    assert chosen(standing(1, steps=30, deadline_s=39.0), short, now_s=5.0) == (2, 1)


def test_nobody_steps_aside_where_somebody_who_is_due_later_has_no_time_to_spare() -> None:
    ample, short = standing(1, steps=30, deadline_s=60.0), standing(2, steps=4, deadline_s=80.0)
    scarce = [standing(number, steps=30, arrived_s=4.0, deadline_s=61.0) for number in range(3, 9)]
    assert chosen(ample, short, now_s=5.0) == (2,)
    assert chosen(ample, short, *scarce, now_s=5.0) == (1, 3, 4, 5)


def test_a_short_one_leads_before_a_long_one_of_another_shape() -> None:
    long, short = standing(1, steps=30, shape=LARGE), standing(2, steps=4)
    assert chosen(long, short, now_s=3.0) == (2,)
    assert chosen(replace(long, deadline_s=80.0), replace(short, deadline_s=90.0), now_s=3.0) == (2,)
    assert chosen(replace(long, deadline_s=20.0), short, now_s=3.0) == (1,)


def test_who_has_waited_takes_turns_with_other_shapes() -> None:
    long, short = standing(1, steps=30, shape=LARGE), standing(2, steps=4, arrived_s=9.5)
    assert chosen(long, short, last=SMALL) == (1,)
    assert chosen(long, short, last=LARGE) == (2,)
    assert chosen(long, standing(3, steps=2, shape=LARGE, arrived_s=9.0), last=LARGE) == (1, 3)


def test_out_of_patience_a_request_leads_until_it_is_done() -> None:
    long, short = standing(1, steps=30, shape=LARGE), standing(2, steps=4, arrived_s=31.0)
    assert chosen(long, short, now_s=31.5, last=LARGE) == (1,)


def test_an_unhurried_long_request_does_not_slow_a_short_one_with_a_deadline() -> None:
    assert chosen(standing(1, steps=30, background=True), standing(2, steps=4, deadline_s=90.0)) == (2,)


def test_slack_order_counts_the_work_that_is_left() -> None:
    """Due at the same time; the one with more steps left has less to spare."""
    queue = [standing(1, steps=2, deadline_s=16.0), standing(2, steps=20, deadline_s=16.0)]
    assert chosen(*queue, rules=Rules(order=Order.SLACK)) == (2, 1)
