"""Names of windows, read and made."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import NS_PER_SECOND, Asset
from helpers.feeds.slugs import WindowSlug, next_window_slugs, parse_slug, window_slug


@pytest.mark.parametrize(
    ("slug", "expected"),
    [
        ("btc-updown-5m-1777470300", WindowSlug(Asset.BTC, 300, 1777470300)),
        ("zec-updown-15m-1790616600", WindowSlug(Asset.ZEC, 900, 1790616600)),
        ("xrp-updown-4h-1790613000", WindowSlug(Asset.XRP, 14_400, 1790613000)),
        ("bitcoin-up-or-down-september-28-2026-5pm-et", WindowSlug(Asset.BTC, 3_600, None)),
        ("hype-up-or-down-june-1-2026-12am-et", WindowSlug(Asset.HYPE, 3_600, None)),
    ],
)
def test_slugs_are_read(slug: str, expected: WindowSlug) -> None:
    """Both forms of reference F.1 say their asset and length."""
    assert parse_slug(slug) == expected


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "btc-updown-5m-1777470301",
        "btc-updown-30m-1777470300",
        "doge2-updown-5m-1777470300",
        "ada-updown-5m-1777470300",
        "bitcoin-up-or-down-on-september-28-2026",
        "cardano-up-or-down-june-1-2026-12am-et",
        "btc-updown-5m-1777470300-x",
        "btc-updown-5m-١٧٧٧٤٧٠٣٠٠",
    ],
)
def test_other_slugs_are_none(slug: str) -> None:
    """Off the grid, unknown lengths, other assets, daily markets and other digits are not ours."""
    assert parse_slug(slug) is None


@given(st.sampled_from(list(Asset)), st.sampled_from([300, 900]), st.integers(0, 2 * 10**18))
@settings(max_examples=100, deadline=None)
def test_next_slugs_follow_each_other(asset: Asset, seconds: int, now_ns: int) -> None:
    """The first slug's window holds the moment, the others follow without a gap."""
    slugs = [parse_slug(slug) for slug in next_window_slugs(asset, seconds, now_ns, 3)]
    starts = [slug.opens_seconds for slug in slugs if slug is not None and slug.asset is asset]
    first = starts[0]
    assert first is not None
    assert first * NS_PER_SECOND <= now_ns < (first + seconds) * NS_PER_SECOND
    assert starts == [first, first + seconds, first + 2 * seconds]


def test_slugs_off_the_grid_are_not_made() -> None:
    """The names of 4h windows follow US Eastern time and are asked for, not computed."""
    with pytest.raises(ValueError, match="window was 14400"):
        window_slug(Asset.BTC, 14_400, 0)
    with pytest.raises(ValueError, match="start was 301"):
        window_slug(Asset.BTC, 300, 301)
