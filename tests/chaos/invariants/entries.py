"""Invariants 1, 7 and 8: when no entry may be approved, whatever the policy wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from db.control_state import ControlAnswer, ControlState
from helpers.domain import NS_PER_SECOND, OperatorAnswered, OperatorVerb
from tests.chaos.invariants.fold import OPERATOR, Fold, Seen
from tests.chaos.worker_run import Evidence

AGE_SLACK_SECONDS: Final = 0.5
"""A grid step: the frame may have come right after the verdict's moment."""
EXPOSURE_SLACK_MICROS: Final = 1_000_000
"""A dollar: what a part of a position cost is an average."""
HEARD_NS: Final = NS_PER_SECOND
"""A running worker obeys an operator within this."""
EXIT_RULES: Final = frozenset({"well_formed", "exit_in_flight", "exit_retry", "settled_shares"})
"""All that an exit may be refused by."""


def no_entry_while_held(_run: Evidence, fold: Fold) -> Iterator[str]:
    """Find entries approved while any cause held them, as the rows tell it (I23)."""
    for seen in fold.entries():
        if seen.held:
            yield f"{_name(seen)} was approved while held by {', '.join(seen.held)}"


def no_entry_after_an_operators_halt(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find entries approved after a person said halt, and before one said resume (I30).

    A process that ran has a second to hear it; one that started later knows it from its start.
    """
    spans: list[tuple[int, int]] = []
    since_ns = 0
    for request in run.told:
        if request.verb is not OperatorVerb.RESUME:
            since_ns = since_ns or request.at_ns
        elif since_ns:
            spans.append((since_ns, request.at_ns))
            since_ns = 0
    if since_ns:
        spans.append((since_ns, run.lives[-1].ended_ns + 1))
    for seen in fold.entries():
        started_ns = run.lives[seen.life - 1].started_ns
        for begin_ns, end_ns in spans:
            heard_ns = begin_ns + HEARD_NS if started_ns < begin_ns else begin_ns
            if heard_ns < seen.at_ns < end_ns:
                yield f"{_name(seen)} was approved though an operator had said halt"


def halts_are_answered(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find words of an operator that no worker answered with their id, or late (I30)."""
    for request in run.control.waiting:
        yield f"nobody answered {request.request_id}"
    answered: dict[str, int] = {}
    for records in run.records:
        for record in records:
            if isinstance(record.body, OperatorAnswered):
                answered.setdefault(record.body.request_id, record.at_ns)
    for request in run.told:
        by_ns = request.at_ns + HEARD_NS
        heard = any(one.started_ns < request.at_ns and by_ns < one.ended_ns for one in run.lives)
        if heard and answered.get(request.request_id, by_ns + 1) > by_ns:
            yield f"{request.request_id} was not answered within a second"
    for _, _, changed in fold.halts:
        if changed.cause == OPERATOR and changed.state == "held" and not changed.detail:
            yield "an operator's halt without its reason"


def a_cut_flatten_is_gone_on_with(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Find a flatten that the end of its process cut, and that the next one did not take up (I30).

    One that died at once may not have come to it.
    """
    state, told = ControlState(), list(run.told)
    answered = [one for one in run.entries if isinstance(one, ControlAnswer)]
    for life in run.lives:
        while told and told[0].at_ns < life.started_ns:
            state.apply(told.pop(0))
        cut, answers = state.flattening, [one for one in answered if one.run == life.run.name]
        if cut is not None and (answers or not life.killed):
            first = answers[0].request_id if answers else "nothing"
            if first != cut.request_id:
                yield f"{life.run.name} began with {first}, and {cut.request_id} was not at its end"
        while told and told[0].at_ns <= life.ended_ns:
            state.apply(told.pop(0))
        for answer in answers:
            state.apply(answer)


def no_entry_before_the_books_agree(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find entries of a process that had not compared its books with the venue's (I31)."""
    for seen in fold.entries():
        if run.plan.live and not seen.compared:
            yield f"{_name(seen)} was approved before the first comparison"


def no_entry_near_the_close(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find entries within the entry stop, or before the window opened (I24)."""
    stop_ns = run.settings.entry_stop_seconds * NS_PER_SECOND
    for seen in fold.entries():
        left_ns = seen.market.closes_ns - seen.at_ns
        if left_ns < stop_ns or seen.at_ns < seen.market.opens_ns:
            yield f"{_name(seen)} was approved {left_ns / NS_PER_SECOND:.1f} s before the close"


def no_entry_on_old_data(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find entries on books or a fast market of which the venue had not spoken for long (I16)."""
    settings = run.settings
    for seen in fold.entries():
        ages = run.journals.ages.get(seen.intent.intent_id)
        if ages is None:
            yield f"{_name(seen)} was approved, and no tap saw it"
            continue
        book = max(ages.up, ages.down)
        if book > settings.book_age_degraded_seconds + AGE_SLACK_SECONDS:
            yield f"{_name(seen)} was approved on a book {book:.1f} s old"
        if ages.fast > settings.fast_age_seconds + AGE_SLACK_SECONDS:
            yield f"{_name(seen)} was approved on a fast market {ages.fast:.1f} s old"


def no_entry_beside_an_unknown(_run: Evidence, fold: Fold) -> Iterator[str]:
    """Find entries in a market with an order that is not over, above all an unknown one (I20)."""
    for seen in fold.entries():
        for other in seen.alive:
            told = other.told or "unanswered"
            yield f"{_name(seen)} was approved while {other.intent.intent_id} was {told}"


def no_second_position_in_a_market(_run: Evidence, fold: Fold) -> Iterator[str]:
    """Find entries where shares that can be sold are held already (I22)."""
    for seen in fold.entries():
        if seen.position_micros >= seen.market.minimum_shares_micros:
            yield f"{_name(seen)} was approved while {seen.position_micros} micro-shares were held"


def no_entry_over_a_limit(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find entries over the limits of positions, money at risk or orders a minute."""
    settings = run.settings
    for seen in fold.entries():
        if seen.occupied >= settings.maximum_positions:
            yield f"{_name(seen)} was approved beside {seen.occupied} positions"
        after = seen.exposure_micros + seen.intent.notional_micros
        if after > settings.maximum_exposure * 1e6 + EXPOSURE_SLACK_MICROS:
            yield f"{_name(seen)} was approved for {after / 1e6:.2f} dollars at risk"
        if seen.sent_last_minute >= settings.order_rate_per_minute:
            yield f"{_name(seen)} was approved after {seen.sent_last_minute} orders in a minute"


def no_entry_right_after_an_exit(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find entries within the cooldown of their market's last exit (I24)."""
    for seen in fold.entries():
        waited = (seen.at_ns - seen.flat_ns) / NS_PER_SECOND
        if seen.flat_ns and waited < run.settings.reentry_cooldown_seconds:
            yield f"{_name(seen)} was approved {waited:.1f} s after an exit"


def exits_pass_every_entry_rule(_run: Evidence, fold: Fold) -> Iterator[str]:
    """Find exits refused by anything but an exit's own rules: a halt stops no exit."""
    for seen, refused in fold.refused:
        wrong = [failure.rule for failure in refused.failures if failure.rule not in EXIT_RULES]
        if not seen.intent.opens and wrong:
            yield f"the exit {_name(seen)} was refused by {', '.join(wrong)}"


def _name(seen: Seen) -> str:
    return f"{seen.intent.intent_id} (life {seen.life}, row {seen.seq})"
