"""The application over real sockets: who is answered what."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from helpers.domain import OperatorVerb
from helpers.server import hub as hub_module
from helpers.server.app import WRONG_TOKEN_SECONDS, read_assets
from helpers.server.guard import SECURITY_HEADERS
from helpers.server.hub import VIEWERS_MAXIMUM
from tests.server.site import ASSETS, NOT_READY, TOKEN, published, running

BEARER = {"Authorization": f"Bearer {TOKEN}"}
HALT = {"verb": "halt", "reason": "odd fills", "confirmation": "paper"}
PATHS = ("/", "/static/app.js", "/view", "/history", "/events", "/metrics", "/readyz")


async def test_livez_tells_of_grid_steps_and_of_nothing_else() -> None:
    """Alive while the count rises; a worker that publishes nothing lives all the same."""
    async with running(publish=None, alive_seconds=1e6) as server:
        server.pulse.note(1)
        assert (await server.client.get("/livez")).status_code == 200
    async with running(alive_seconds=-1.0) as server:
        server.pulse.note(1)  # less than a moment ago is too long ago for this one
        stuck = await server.client.get("/livez")
        assert stuck.status_code == 503
        assert "no grid step" in stuck.text


async def test_readyz_names_every_condition() -> None:
    """U11: 503 with the names, 200 without any."""
    async with running(publish=lambda seq: published(seq, failing=NOT_READY)) as server:
        answer = await server.client.get("/readyz")
        assert answer.status_code == 503
        assert [one["name"] for one in answer.json()["failing"]] == ["feeds_stale", "halted"]
    async with running() as server:
        answer = await server.client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "failing": []})


async def test_a_worker_that_publishes_nothing_is_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for ever, and nothing old is shown as new."""
    monkeypatch.setattr(hub_module, "ANSWER_SECONDS", 0.05)
    async with running(publish=None) as server:
        answer = await server.client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["failing"][0]["name"] == "not_answering"
        for path in ("/view", "/history", "/metrics"):
            assert (await server.client.get(path)).status_code == 503


async def test_views_follow_as_events_and_the_first_comes_at_once() -> None:
    """The id of an event is its view's number; the numbers rise."""
    async with running() as server, server.client.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        ids: list[int] = []
        seqs: list[int] = []
        async for line in stream.aiter_lines():
            if line.startswith("id: "):
                ids.append(int(line[4:]))
            elif line.startswith("data: "):
                seqs.append(json.loads(line[6:])["seq"])
            if len(seqs) == 3:
                break
        assert ids == seqs == sorted(set(seqs))


async def test_a_viewer_that_does_not_read_is_dropped_and_the_others_are_not() -> None:
    """What the stalled one does not take is no matter of the others, nor of who publishes."""
    big = b'"' + b"x" * 200_000 + b'"'
    async with running(publish=lambda seq: published(seq, view=big)) as server:
        stalled = socket.socket()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(stalled, ("127.0.0.1", server.port))
        request = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n"
        await loop.sock_sendall(stalled, request.encode())
        seen = 0
        async with asyncio.timeout(20), server.client.stream("GET", "/events") as stream:
            async for line in stream.aiter_lines():
                seen += line.startswith("data: ")
                if server.hub.dropped and seen > 5:
                    break
        assert server.hub.dropped == 1
        stalled.close()


async def test_there_is_room_for_so_many_viewers() -> None:
    """The next one is told so."""
    async with running(publish=None) as server:
        kept = [server.hub.join(lambda: None) for _ in range(VIEWERS_MAXIMUM)]
        assert all(kept)
        assert (await server.client.get("/events")).status_code == 503
        server.hub.leave(kept[0])  # pyright: ignore[reportArgumentType]
        async with server.client.stream("GET", "/events") as stream:
            assert stream.status_code == 200


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "DELETE", "POST"])
async def test_events_are_asked_for_with_get(method: str) -> None:
    """Any other method would be a viewer that no browser is."""
    async with running() as served:
        assert (await served.client.request(method, "/events")).status_code == 405
        assert (await served.client.head("/events")).status_code == 200
        assert not served.hub.viewers


async def test_a_viewer_that_goes_makes_room() -> None:
    """Nothing of a viewer is left behind."""
    async with running() as server:
        async with server.client.stream("GET", "/events") as stream:
            await anext(stream.aiter_lines())
            assert server.hub.viewers == 1
        async with asyncio.timeout(5):
            while server.hub.viewers:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("path", ["/livez", "/", "/nothing", "/control"])
async def test_every_answer_carries_the_headers(path: str) -> None:
    """Also errors and refusals."""
    async with running() as server:
        answer = await server.client.get(path)
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


async def test_a_name_that_was_made_to_point_here_is_refused() -> None:
    """DNS rebinding: a page of another name cannot read this one."""
    async with running() as server:
        for host, status in (("evil.example", 421), ("localhost", 200), ("[::1]:8080", 200)):
            answer = await server.client.get("/view", headers={"Host": host})
            assert answer.status_code == status, host
        assert (await server.client.get("/livez", headers={"Host": "10.0.0.1"})).status_code == 200


async def test_elsewhere_everything_but_livez_asks_for_the_token() -> None:
    """Header or cookie; the page's address shows a form."""
    async with running(host="0.0.0.0") as server:
        assert (await server.client.get("/livez")).status_code == 200
        for path in PATHS:
            answer = await server.client.get(path)
            assert answer.status_code == 401, path
            assert TOKEN not in answer.text
        assert "<form" in (await server.client.get("/")).text
        assert (await server.client.get("/view", headers=BEARER)).status_code == 200
        wrong = await server.client.get("/view", headers={"Authorization": "Bearer no"})
        assert wrong.status_code == 401

        refused = await server.client.post("/login", data={"token": "another-token-here"})
        assert (refused.status_code, len(server.client.cookies)) == (401, 0)
        taken = await server.client.post("/login", data={"token": TOKEN})
        assert (taken.status_code, taken.headers["location"]) == (303, "/")
        flags = taken.headers["set-cookie"].lower()
        assert "httponly" in flags
        assert "samesite=strict" in flags
        assert TOKEN not in flags
        assert (await server.client.get("/view")).status_code == 200
        assert (await server.client.post("/control", json=HALT)).status_code == 401
        assert server.asked == []


async def test_metrics_can_be_opened_for_scrapers() -> None:
    """And nothing else with them."""
    async with running(host="10.0.0.5", open_metrics=True) as server:
        assert (await server.client.get("/metrics")).status_code == 200
        assert (await server.client.get("/view")).status_code == 401


@pytest.mark.parametrize(
    ("change", "headers", "status", "text"),
    [
        ({}, {}, 401, "token"),
        ({}, {"Authorization": "Bearer wrong"}, 401, "token"),
        ({"confirmation": "live"}, BEARER, 400, "expected paper"),
        ({"confirmation": ""}, BEARER, 400, "expected paper"),
        ({"reason": "  "}, BEARER, 400, "reason"),
        ({"verb": "explode"}, BEARER, 400, "not understood"),
        ({"reason": "x" * 5000}, BEARER, 413, "too long"),
        ({}, {**BEARER, "Origin": "https://evil.example"}, 403, "another page"),
        ({}, {**BEARER, "Sec-Fetch-Site": "cross-site"}, 403, "another page"),
    ],
)
async def test_control_refuses(
    change: dict[str, Any], headers: dict[str, str], status: int, text: str
) -> None:
    """Nothing is asked of the worker without token, origin, mode and reason."""
    async with running() as server:
        answer = await server.client.post("/control", json={**HALT, **change}, headers=headers)
        assert answer.status_code == status
        assert text in answer.text
        assert server.asked == []


async def test_control_without_a_token_says_how_to_set_one() -> None:
    """403, whatever is sent."""
    async with running(token="") as server:
        answer = await server.client.post("/control", json=HALT, headers=BEARER)
        assert answer.status_code == 403
        assert "DASHBOARD_TOKEN" in answer.json()["text"]
        assert server.asked == []


async def test_control_asks_the_worker() -> None:
    """What it answers is passed on."""
    async with running() as server:
        origin = {"Origin": f"http://127.0.0.1:{server.port}", "Sec-Fetch-Site": "same-origin"}
        answer = await server.client.post("/control", json=HALT, headers={**BEARER, **origin})
        assert answer.json() == {"ok": True, "text": "the worker did halt"}
        assert server.asked == [(OperatorVerb.HALT, "odd fills")]


async def test_the_page_is_served_from_memory() -> None:
    """Only what is a file of it; no way out of its folder."""
    async with running() as server:
        assert (await server.client.get("/")).content == ASSETS["index.html"].content
        script = await server.client.get("/static/app.js")
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        for path in ("/static/nothing.js", "/static/..%2f..%2fworker.py", "/static/"):
            assert (await server.client.get(path)).status_code == 404


def test_assets_are_read_from_the_folder(tmp_path: Any) -> None:
    """Known kinds of files, by their path; a folder that is too large is refused."""
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "chart.js").write_text("2;")
    (tmp_path / "notes.md").write_text("not served")
    assert {name: asset.content for name, asset in read_assets(tmp_path).items()} == {
        "vendor/chart.js": b"2;"
    }
    assert read_assets(tmp_path / "absent") == {}
    (tmp_path / "large.css").write_bytes(b" " * 5_000_000)
    with pytest.raises(ValueError, match="expected at most"):
        read_assets(tmp_path)


def test_whoever_guesses_waits() -> None:
    """A token of sixteen characters is then out of reach."""
    assert WRONG_TOKEN_SECONDS >= 1.0
