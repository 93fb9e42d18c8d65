"""The website's geoblock helper (protocol reference H.7)."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request

from simulator.servers.answers import HttpSurface, Reply, http_app, ok
from simulator.servers.fault_seam import Surface
from simulator.servers.surroundings import Surroundings


class Website:
    """Says whether the caller's region may trade; settable, and not what the CLOB decides by."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self.blocked = False
        self.country = "PT"

    def app(self) -> Starlette:
        """Return the application of this surface."""
        http = HttpSurface(Surface.WEBSITE, self._surroundings)
        return http_app([http.route("GET", "/api/geoblock", self._geoblock)])

    async def _geoblock(self, request: Request) -> Reply:
        body = {
            "blocked": self.blocked,
            "ip": request.client.host if request.client else "",
            "country": self.country,
            "region": "",
        }
        return ok(msgspec.json.encode(body).decode())
