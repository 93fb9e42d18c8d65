"""Hosts, origins, tokens and cookies."""

from __future__ import annotations

import pytest

from helpers.server.access import Access, same_origin

TOKEN = "a-token-of-the-tests"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.5.0.1"])
def test_this_machines_own_address_needs_no_token(host: str) -> None:
    """It can be looked at; its names are only those of this machine."""
    access = Access(host, None)
    assert access.may_view("", "")
    assert access.host_allowed("localhost:9000")
    assert access.host_allowed("[::1]:8080")
    assert not access.host_allowed("rebound.example:8080")
    assert not access.host_allowed("")
    assert not access.has_token
    assert not access.bearer("Bearer "), "an empty token is nobody's"


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.5", "::", "worker.internal", "1127.0.0.1"])
def test_any_other_address_demands_one(host: str) -> None:
    """There is no such server without a token."""
    with pytest.raises(ValueError, match="without a token"):
        Access(host, None)
    access = Access(host, TOKEN)
    assert access.host_allowed("any.example")
    assert not access.may_view("", "")
    assert not access.may_view("Basic " + TOKEN, "")
    assert not access.may_view("", TOKEN), "the cookie is not the token"
    assert access.may_view(f"bearer {TOKEN}", "")
    assert access.may_view("", access.cookie)


@pytest.mark.parametrize(
    "host", ["[", "[::1", "a]b", "evil.example@127.0.0.1", "127.0.0.1:port", "a b", "127.0.0.1/x"]
)
@pytest.mark.parametrize("served", ["127.0.0.1", "0.0.0.0"])
def test_what_is_no_host_is_served_by_nobody(host: str, served: str) -> None:
    """It is refused, not an error: whoever reaches the port could fill the log with those."""
    assert not Access(served, TOKEN).host_allowed(host)


def test_a_cookie_tells_nothing_of_its_token() -> None:
    """Another token has another one."""
    cookie = Access("0.0.0.0", TOKEN).cookie
    assert TOKEN not in cookie
    assert cookie != Access("0.0.0.0", TOKEN + "2").cookie
    assert cookie == Access("0.0.0.0", TOKEN).cookie, "it survives a restart"


@pytest.mark.parametrize(
    ("origin", "site", "host", "allowed"),
    [
        (None, None, "a:1", True),
        ("http://a:1", "same-origin", "a:1", True),
        ("http://b:1", None, "a:1", False),
        ("http://a:2", None, "a:1", False),
        ("null", None, "a:1", False),
        (None, "cross-site", "a:1", False),
        (None, "same-site", "a:1", False),
        ("https://a:1", None, "a:1", True),
        ("http://[", None, "a:1", False),
        ("http://a:1@b", None, "a:1", False),
    ],
)
def test_what_changes_something_comes_from_our_own_page(
    origin: str | None, site: str | None, host: str, allowed: bool
) -> None:
    """Or from no browser at all."""
    assert same_origin(origin, site, host) is allowed
