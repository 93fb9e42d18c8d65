"""Exits 0 when the worker's /livez answers 200: the image's HEALTHCHECK, without curl.

Standard library only, and run with -S: it starts every few seconds beside a worker that counts its
microseconds.
"""

from __future__ import annotations

import http.client
import os
import sys
from typing import Final

TIMEOUT_SECONDS: Final = 3.0
PORT_DEFAULT: Final = "8080"
"""As the setting DASHBOARD_PORT, which is read here without loading the settings."""
HTTP_OK: Final = 200


def main() -> int:
    """Ask once; return 0 when it is alive or serves nothing, else 1 with a line that says why."""
    port = os.environ.get("DASHBOARD_PORT") or PORT_DEFAULT
    if port == "0":
        return 0  # Nothing is served, so nothing can be asked: the process itself is what is left.
    connection = http.client.HTTPConnection(f"127.0.0.1:{port}", timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"healthcheck: port {port}: {error}\n")
        return 1
    finally:
        connection.close()
    if status != HTTP_OK:
        sys.stderr.write(f"healthcheck: port {port}: /livez answered {status}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
