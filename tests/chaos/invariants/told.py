"""Invariants 6, 9, 11 and 12: explained, bounded, without secrets, and not stopped by the unknown.

Invariant 10 cannot be seen here: on simulated time a blocked loop takes no time at all. The bench
and the watchdog's tests measure it in real time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from db.explain import Explainer
from db.explain_report import EntrySeen, Report
from db.journal import BUFFER_BYTES
from db.records import Record
from helpers.account import EXITS_REMEMBERED_MAXIMUM
from helpers.board.market_list import MAXIMUM_MARKETS
from helpers.clob_executor import INTENTS_REMEMBERED, TICKS_REMEMBERED
from helpers.domain import Approved, Refused, Unsized
from helpers.ledger import CLOSED_MARKETS_REMEMBERED
from helpers.live.orders import ORDERS_REMEMBERED
from simulator.faults import FaultKind
from tests.chaos.invariants.fold import Fold
from tests.chaos.worker_run import Evidence, LifeSeen

ENDINGS = frozenset({"open", "sold", "settled_won", "settled_lost", "not_filled"})
ALL = 1_000_000
"""More than a run has of anything."""
IN_FLIGHT_MAXIMUM = 64
"""More orders than ever are under way at once: one a market, eight markets."""


def everything_is_explained(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Ask ``why`` about each life: every entry with its decision and end, every refusal counted."""
    for number, (life, records) in enumerate(zip(run.lives, run.records, strict=True), 1):
        explainer = Explainer(last=ALL)
        for record in records:
            explainer.add(record)
        report = explainer.report()
        last = number == len(run.lives)
        yield from (f"life {number}: {text}" for text in _unexplained(records, report, last=last))
        # One that was killed in the moment it began has no row, and nothing to explain (seed 1072).
        if not records and life.ended_ns == life.started_ns:
            continue
        if not report.runs or report.runs[0].started is None:
            yield f"life {number}: {life.run.name} does not say what ran"


def _unexplained(records: tuple[Record, ...], report: Report, *, last: bool) -> Iterator[str]:
    entries = {e.order.intent_id: e for market in report.markets for e in market.entries}
    refused: Counter[str] = Counter()
    for record in records:
        if isinstance(record.body, Approved) and record.body.intent.opens:
            intent = record.body.intent
            entry = entries.get(intent.intent_id)
            wrong = "nothing" if entry is None else _wrong_with(entry, last=last)
            if wrong:
                yield f"the entry {intent.intent_id} is told by {wrong}"
        elif isinstance(record.body, Refused | Unsized):
            refused[record.market] += 1
    for market in report.markets:
        told = sum(refusal.count for refusal in market.refusals)
        if told != refused[market.slug]:
            yield f"{market.slug}: {refused[market.slug]} refusals, {told} explained"
        for refusal in market.refusals:
            if not refusal.rule or refusal.found == "":
                yield f"{market.slug}: a refusal without its rule or finding: {refusal}"


def _wrong_with(entry: EntrySeen, *, last: bool) -> str:
    if entry.order.decision is None:
        return "no decision"
    if entry.ended not in ENDINGS:
        return f"the end {entry.ended!r}"
    if last and entry.order.submission == "unanswered":
        return "no answer of the venue"
    return ""


def nothing_grows(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Hold what long-lived objects keep against their named limits."""
    for number, life in enumerate(run.lives, 1):
        for name, found, limit in _sizes(life):
            if found > limit:
                yield f"life {number}: {name} held {found}, at most {limit} are allowed"


def _sizes(life: LifeSeen) -> Iterator[tuple[str, int, int]]:
    worker = life.worker
    flow = worker._flow
    ledger = flow.ledger
    standing = worker._engine._standing
    yield "journal buffer", len(worker._journal._buffer), BUFFER_BYTES
    yield "board markets", len(flow.board._markets.by_slug), MAXIMUM_MARKETS
    yield "exits awaiting answers", len(standing._exits), EXITS_REMEMBERED_MAXIMUM
    yield "exits to retry", len(standing._exit_retries), MAXIMUM_MARKETS
    flat = len(ledger._accounts) - len(ledger._open)
    yield "flat ledger accounts", flat, CLOSED_MARKETS_REMEMBERED
    if life.live is not None:
        executor, orders = life.live.executor, life.live.orders
        yield "orders", len(orders._orders), ORDERS_REMEMBERED + IN_FLIGHT_MAXIMUM
        yield "orders alive", len(orders.alive()), IN_FLIGHT_MAXIMUM
        yield "intents", len(executor._intents), INTENTS_REMEMBERED
        yield "ticks", len(executor._ticks), TICKS_REMEMBERED
        yield "answers not delivered", len(executor._inbox), IN_FLIGHT_MAXIMUM


def no_task_is_left(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Find tasks that outlived their process, or the run."""
    for number, life in enumerate(run.lives, 1):
        yield from (f"life {number} left {task}" for task in life.tasks_left)
    yield from (f"the run left {task}" for task in run.tasks_left)


def no_secret_is_written(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Look for every secret of the settings in every file of the run (I35)."""
    secrets = [secret.encode() for secret in run.settings.secrets() if secret]
    for path in sorted(run.folder.rglob("*")):
        if path.is_file():
            text = path.read_bytes()
            yield from (f"{path.name} holds a secret" for secret in secrets if secret in text)


def unknown_kinds_are_counted(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Find strange frames that nobody counted; that they were survived, the run itself shows."""
    struck = run.served.schedule.counts[FaultKind.STRANGE]
    counted = 0
    for life in run.lives:
        names = list(life.worker._intake.skipped())
        if life.live is not None:
            names += list(life.live._parser.skipped.rows())
        counted += sum(count for name, count in names if "unknown" in name)
    if struck > STRANGE_LOST_MAXIMUM and not counted:
        yield f"{struck} strange frames were sent, and none was counted"


STRANGE_LOST_MAXIMUM = 50
"""So many may be sent to a process that dies, or that has cut the connection."""
