"""The RL line of an update: what people grep for, the same offline and in a running worker."""

from __future__ import annotations

from helpers.logs import Log
from helpers.training.trainer import Learned


def log_update(log: Log, learned: Learned, seconds: float) -> None:
    """Write one update; a refused one is a warning with its problem.

    ``buffer_win_rate`` is of the choices learned from, ``trade_win_rate`` of the positions closed
    meanwhile: they differ where many small losses stand against a few large gains.
    """
    report, progress = learned.report, learned.progress
    if report.problem:
        log.warning("update_refused", update=progress.updates, why=report.problem)
        return
    log.info(
        "update",
        update=progress.updates,
        steps=progress.steps,
        reward=round(learned.reward, 4),
        policy_loss=round(report.policy_loss, 4),
        value_loss=round(report.value_loss, 4),
        entropy=round(report.entropy_nats, 4),
        kl=round(report.kl, 5),
        clip_fraction=round(report.clip_fraction, 3),
        explained_variance=round(report.explained_variance, 3),
        buffer_win_rate=round(report.win_rate, 3),
        trade_win_rate=round(learned.wins / learned.trips, 3) if learned.trips else None,
        seconds=round(seconds, 3),
    )
