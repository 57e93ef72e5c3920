"""The world that answers back: simulated services whose metrics and logs follow the state of a cluster.

It knows Kubernetes objects, a cache and telemetry, and nothing of whoever acts on them. `simulation` is pure; `live` drives it against real
servers, `virtual` in virtual time against in-memory ones. The formats and metrics are in docs/world.md.
"""

from __future__ import annotations

from pathlib import Path

SERVICES = Path(__file__).parent / "services"
"""The services that are there by default."""
FAULTS = Path(__file__).parent / "faults"
"""The faults that are there by default."""
