"""Heartbeats: chained ids, one deadline, no disarm."""

from __future__ import annotations

from simulator.agenda import Agenda
from simulator.dead_man import DeadMan
from simulator.exchange_messages import HeartbeatAccepted, HeartbeatMismatch


def test_ids_chain_and_silence_expires_once():
    """Each accepted send gives the next id and a new deadline; expiry removes the registration."""
    agenda = Agenda()
    expired: list[tuple[str, int]] = []
    dead_man = DeadMan(agenda, 10, lambda account, now: expired.append((account, now)))
    assert not dead_man.armed("ann")
    first = dead_man.beat("ann", "", 0)
    assert isinstance(first, HeartbeatAccepted)
    assert dead_man.armed("ann")
    second = dead_man.beat("ann", first.heartbeat_id, 5)
    assert isinstance(second, HeartbeatAccepted)
    assert second.heartbeat_id != first.heartbeat_id
    assert dead_man.beat("ann", "", 6) == HeartbeatMismatch(second.heartbeat_id)
    agenda.run(14)
    assert expired == []
    agenda.run(100)
    assert expired == [("ann", 15)]
    assert not dead_man.armed("ann")
    assert dead_man.beat("ann", second.heartbeat_id, 101) == HeartbeatMismatch("")
