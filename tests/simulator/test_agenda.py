"""Due actions run in time order, ties in the order they were put down."""

from __future__ import annotations

from simulator.agenda import Agenda


def test_actions_run_in_order_with_their_own_times():
    """Each action is given the time it was due at, not the time it was found."""
    agenda = Agenda()
    done: list[tuple[str, int]] = []
    agenda.at(20, lambda now: done.append(("late", now)))
    agenda.at(10, lambda now: done.append(("first", now)))
    agenda.at(10, lambda now: done.append(("second", now)))
    assert (len(agenda), agenda.next_due_ns()) == (3, 10)
    agenda.run(15)
    assert done == [("first", 10), ("second", 10)]
    agenda.run(100)
    assert done[-1] == ("late", 20)
    assert agenda.next_due_ns() is None


def test_an_action_may_put_down_another_that_is_due_too():
    """What becomes due meanwhile is done in the same run."""
    agenda = Agenda()
    done: list[int] = []
    agenda.at(1, lambda now: agenda.at(now + 1, done.append))
    agenda.run(5)
    assert done == [2]
