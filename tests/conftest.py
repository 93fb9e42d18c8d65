"""What holds for all tests: none starts a database of its own unless it asks for one."""

from __future__ import annotations

import os

os.environ["DATABASE"] = "off"
