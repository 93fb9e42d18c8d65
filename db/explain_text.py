"""Says a report in words: aligned lines that fit a terminal of 100 columns.

Must not: print, or decide anything. Text that came from outside is stripped of control characters,
so that no venue can write on the operator's terminal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from db.explain_report import (
    Count,
    DecisionSeen,
    EntrySeen,
    FillSeen,
    MarketReport,
    Moment,
    OrderSeen,
    RefusalSeen,
    Report,
    RunSeen,
)
from helpers.domain import MICROS, NS_PER_MS, NS_PER_SECOND, ResolutionSeen, RuleValue, StrikeSeen

WIDTH: Final = 100
"""Columns."""
MARKETS_SHOWN: Final = 30
"""Rows of the market table, the latest; a day of four assets has 384."""
REASONS_SHOWN: Final = 12
"""Reasons shown of one market; ``--json`` has the rest."""
_INDENT: Final = "    "
_LABEL_WIDTH: Final = 8
_ENDED: Final = {
    "sold": "sold",
    "settled_won": "paid out at 1: won",
    "settled_lost": "paid out at 0: lost",
}


def report_lines(report: Report, last: int, *, one_market: bool) -> list[str]:
    """Return the report as lines; ``one_market`` adds why it decided as it did."""
    parts: list[Iterable[str]] = [_run_lines(run) for run in report.runs]
    parts.append(_warning_lines(report))
    if not report.markets:
        parts.append(["", "No market appears in these rows."])
    elif one_market:
        parts.extend(_market_lines(market) for market in report.markets)
    else:
        parts.append(_table_lines(report))
    parts.append(_entry_lines(report, last))
    parts.append(_refusal_lines(report, last))
    if report.moments:
        parts.append(_moment_lines(report))
    return [clean(line) for line in chain.from_iterable(parts)]


def clean(text: str) -> str:
    """Return text without control characters, which could drive a terminal."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)


def dollars(micros: int, *, signed: bool = False) -> str:
    """Return micro-dollars as ``$1.23``, with ``+`` for a gain when ``signed``."""
    cents = (abs(micros) + 5_000) // 10_000
    sign = "-" if micros < 0 and cents else "+" if signed and cents else ""
    return f"{sign}${cents // 100:,}.{cents % 100:02d}"


def price(micros: int) -> str:
    """Return an outcome's price: two decimals, more on a finer grid."""
    text = f"{micros / MICROS:.6f}".rstrip("0")
    return text if len(text) > len("0.00") else f"{micros / MICROS:.2f}"


def shares(micros: int) -> str:
    """Return shares with two decimals."""
    return f"{micros / MICROS:.2f}"


def moment(at_ns: int) -> str:
    """Return a time in UTC to the millisecond."""
    seconds, rest = divmod(at_ns, NS_PER_SECOND)
    stamp = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{stamp:%Y-%m-%d %H:%M:%S}.{rest // NS_PER_MS:03d}"


def value(found: RuleValue) -> str:
    """Return what a rule allowed or found."""
    return found if isinstance(found, str) else f"{found:.6g}"


def _run_lines(run: RunSeen) -> Iterator[str]:
    started = run.started
    if started is None:
        lost = "not in the journal any more" if run.first_seq > 1 else "not recorded"
        yield f"{run.mode.upper()} run; its beginning is {lost}"
    else:
        source = f", tape {started.tape}" if started.tape else ""
        yield from _wrapped(
            f"{run.mode.upper()} run {started.run_id}: strategy {started.strategy}, model "
            f"{started.model_id}, features {started.feature_version}{source}"
        )
    yield f"{moment(run.first_ns)} to {moment(run.last_ns)} UTC, {_stopped(run)}"
    if run.stopped is not None:
        stopped = run.stopped
        yield (
            f"{_closed(stopped.trades)}, PnL after fees "
            f"{dollars(stopped.pnl_micros, signed=True)}, fees {dollars(stopped.fees_micros)}, "
            f"{stopped.decisions:,} decisions, {stopped.refusals:,} refusals"
        )


def _stopped(run: RunSeen) -> str:
    if run.stopped is None:
        return "no stop recorded: still running, or killed"
    return f"stopped: {run.stopped.reason}"


def _warning_lines(report: Report) -> Iterator[str]:
    if report.since_ns:
        yield f"Only what happened since {moment(report.since_ns)} UTC is counted"
    for warning in report.warnings:
        yield from _wrapped(f"WARNING: {warning}")
    if report.unknown_kinds:
        yield from _wrapped(
            f"WARNING: rows of kinds this version does not know: {_listed(report.unknown_kinds)}"
        )


def _table_lines(report: Report) -> Iterator[str]:
    yield ""
    yield (
        f"{'MARKET':<30}{'DECIDED':>9}{'HOLD':>9}{'BUY':>8}{'SELL':>8}{'INVALID':>9}"
        f"{'REFUSED':>9}{'ENTRIES':>8}{'PNL':>10}"
    )
    hidden = report.markets_dropped + max(0, len(report.markets) - MARKETS_SHOWN)
    if hidden:
        yield f"({hidden:,} earlier markets are not shown: use --market SLUG)"
    for market in report.markets[-MARKETS_SHOWN:]:
        actions = {count.name: count.count for count in market.actions}
        pnl = dollars(market.pnl_micros, signed=True) if market.positions_closed else "-"
        refused = sum(count.count for count in market.refusals_by_rule)
        yield (
            f"{market.slug[:29]:<30}{market.decisions:>9,}{actions.get('HOLD', 0):>9,}"
            f"{actions.get('BUY', 0):>8,}{actions.get('SELL', 0):>8,}"
            f"{actions.get('INVALID', 0):>9,}{refused:>9,}{market.entries_total:>8,}{pnl:>10}"
        )


def _market_lines(market: MarketReport) -> Iterator[str]:
    yield ""
    window = f", {moment(market.opens_ns)} to {moment(market.closes_ns)}" if market.opens_ns else ""
    yield f"{market.slug}{window}"
    if market.strike is not None:
        yield from _labelled("strike", f"{market.strike.price:,.2f} ({market.strike.rung.value})")
    if market.resolution is not None:
        yield from _labelled("resolved", _resolution_words(market.resolution))
    if market.problems:
        yield from _labelled("barred", "; ".join(market.problems))
    actions = f"{market.decisions:,} decisions" + _after(": ", _listed(market.actions))
    yield from _labelled("decided", actions)
    yield from _table("because", market.reasons)
    yield from _table("invalid", market.invalid)
    yield from _table("refused", market.refusals_by_rule)
    if market.orders:
        yield from _labelled("orders", _listed(market.orders))
    if market.positions_closed:
        yield from _labelled(
            "result",
            f"{_closed(market.positions_closed)}, PnL after fees "
            f"{dollars(market.pnl_micros, signed=True)}, fees {dollars(market.fees_micros)}",
        )
    if market.fills_without_order:
        yield from _labelled(
            "WARNING", f"{market.fills_without_order:,} fills whose order is not in the journal"
        )


def _resolution_words(resolution: ResolutionSeen) -> str:
    final = f" at {resolution.final_price:,.2f}" if resolution.final_price else ""
    return f"{resolution.outcome.value.upper()}{final}, told by {resolution.source.value}"


def _entry_lines(report: Report, last: int) -> Iterator[str]:
    entries = [(entry, market) for market in report.markets for entry in market.entries]
    entries.sort(key=lambda pair: pair[0].order.at_ns)
    total = sum(market.entries_total for market in report.markets)
    yield ""
    yield f"ENTRIES{_of(min(last, len(entries)), total)}"
    for entry, market in entries[-last:]:
        yield ""
        yield from _one_entry(entry, market.slug)


def _one_entry(entry: EntrySeen, slug: str) -> Iterator[str]:
    order = entry.order
    yield f"{moment(order.at_ns)}  {slug}"
    yield from _labelled("order", _order_words(order))
    if order.decision is None:
        yield from _labelled("saw", "the decision behind it is not in the journal")
    else:
        yield from _decision_lines(order.decision, order.strike)
    yield from _answer_lines(order)
    for leaving in entry.exits:
        yield from _labelled("exit", f"{moment(leaving.at_ns)} {_order_words(leaving)}")
        yield from _answer_lines(leaving)
    yield from _labelled("ended", _ending(entry))


def _ending(entry: EntrySeen) -> str:
    if entry.ended == "not_filled":
        return "never filled: no position"
    if entry.ended == "open":
        return f"still open, fees so far {dollars(entry.fees_micros)}"
    held_seconds = (entry.ended_ns - entry.order.at_ns) / NS_PER_SECOND
    return (
        f"{_ENDED[entry.ended]} at {moment(entry.ended_ns)} after {held_seconds:,.1f} s, "
        f"PnL after fees {dollars(entry.pnl_micros, signed=True)} "
        f"(fees {dollars(entry.fees_micros)})"
    )


def _order_words(order: OrderSeen) -> str:
    return (
        f"{order.side} {order.outcome.upper()} {shares(order.shares_micros)} shares, limit "
        f"{price(order.price_limit_micros)}, {order.style}, {order.reason}"
    )


def _decision_lines(decision: DecisionSeen, known: StrikeSeen | None) -> Iterator[str]:
    yield from _labelled(
        "policy",
        f"{decision.action}: hold {decision.probability_hold:.2f}, buy "
        f"{decision.probability_buy:.2f}, sell {decision.probability_sell:.2f}, value "
        f"{decision.value:+.3f}, model {decision.model_id}",
    )
    if decision.reason:
        yield from _labelled("because", decision.reason)
    strike = f", strike {known.price:,.2f} ({known.rung.value})" if known is not None else ""
    yield from _labelled(
        "saw",
        f"Up bid {_best(decision.up_bid_micros)}, ask {_best(decision.up_ask_micros)}, fast mid "
        f"{decision.fast_mid:,.2f}{strike}, {decision.seconds_to_close:,.1f} s to close",
    )
    top = ", ".join(f"{seen.name} {seen.value:+.2f}" for seen in decision.top_features)
    yield from _labelled("features", top or "all zero")
    if decision.cold_features:
        yield from _labelled("cold", ", ".join(decision.cold_features))


def _best(micros: int) -> str:
    return price(micros) if micros else "none"


def _answer_lines(order: OrderSeen) -> Iterator[str]:
    # A fill says by itself that the order was taken.
    if not order.fills or order.submission in ("rejected", "unknown"):
        told = order.submission + _after(": ", order.submission_detail)
        yield from _labelled("sent", told + _after(", order ", order.state))
    for fill in order.fills:
        yield from _labelled("filled", _fill_words(fill))


def _fill_words(fill: FillSeen) -> str:
    role = "maker" if fill.maker else "taker"
    return (
        f"{moment(fill.at_ns)} {shares(fill.shares_micros)} at {price(fill.price_micros)}, fee "
        f"{dollars(fill.fee_micros)}, {role}, {fill.status}"
    )


def _refusal_lines(report: Report, last: int) -> Iterator[str]:
    refusals = [refusal for market in report.markets for refusal in market.refusals]
    refusals.sort(key=lambda refusal: refusal.last_ns)
    total = sum(market.refusals_merged_total for market in report.markets)
    yield ""
    yield f"REFUSALS{_of(min(last, len(refusals)), total)}"
    for refusal in refusals[-last:]:
        yield ""
        yield f"{_span(refusal)}  {refusal.market}"
        yield from _labelled("refused", _refusal_words(refusal))
        if refusal.also:
            yield from _labelled("also", ", ".join(refusal.also))


def _span(refusal: RefusalSeen) -> str:
    if refusal.count == 1:
        return moment(refusal.first_ns)
    return f"{moment(refusal.first_ns)} to {moment(refusal.last_ns)}"


def _refusal_words(refusal: RefusalSeen) -> str:
    kind = "entry" if refusal.opens else "exit"
    times = f"{refusal.count:,} times, " if refusal.count > 1 else ""
    found = value(refusal.found)
    if refusal.found != refusal.found_first:
        found = f"{value(refusal.found_first)} at first, {found} at last"
    return (
        f"{times}{kind} {refusal.side} {refusal.outcome.upper()} by {refusal.stage} rule "
        f"{refusal.rule}: limit {value(refusal.limit)}, found {found}"
    )


def _moment_lines(report: Report) -> Iterator[str]:
    yield ""
    yield f"HALTS AND FEED GAPS{_of(len(report.moments), report.moments_total)}"
    yield ""
    for seen in report.moments:
        yield from _wrapped(f"{moment(seen.at_ns)}  {_moment_words(seen)}", " " * 25)


def _moment_words(seen: Moment) -> str:
    if seen.halt is not None:
        return f"{seen.halt.state}: {seen.halt.cause}" + _after(", ", seen.halt.detail)
    if seen.answer is not None:
        answer = seen.answer
        return f"answered {answer.request_id}: {answer.trading}" + _after(", ", answer.detail)
    if seen.model is not None:
        model = seen.model
        stays = "running" if model.change == "refused" else "model"
        return f"model {model.change}: {stays} {model.model_id}" + _after(", ", model.why)
    assert seen.gap is not None  # A moment is one of the four.
    return f"feed {seen.gap.source.value}: {seen.gap.reason}"


def _closed(count: int) -> str:
    return "1 closed position" if count == 1 else f"{count:,} closed positions"


def _of(shown: int, total: int) -> str:
    if not total:
        return ": none"
    return f", {total:,}" if shown == total else f", the last {shown:,} of {total:,}"


def _after(separator: str, text: str) -> str:
    return separator + text if text else ""


def _listed(counts: Iterable[Count]) -> str:
    return ", ".join(f"{count.name} {count.count:,}" for count in counts)


def _table(label: str, counts: tuple[Count, ...]) -> Iterator[str]:
    for index, count in enumerate(counts[:REASONS_SHOWN]):
        yield from _labelled(label if index == 0 else "", f"{count.count:>7,} x  {count.name}")
    if len(counts) > REASONS_SHOWN:
        yield from _labelled("", f"and {len(counts) - REASONS_SHOWN} more reasons: use --json")


def _labelled(label: str, text: str) -> Iterator[str]:
    head = f"{_INDENT}{label:<{_LABEL_WIDTH}}  "
    return _wrapped(text, " " * len(head), head)


def _wrapped(text: str, indent: str = _INDENT, head: str = "") -> Iterator[str]:
    yield from textwrap.wrap(
        clean(text), WIDTH, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False
    )
