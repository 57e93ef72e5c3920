"""The engine's own limits, in seconds and counts. Neighbours: `app` fills them from the daemon's settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`lease_ttl` bounds how long a dead owner blocks a run; nothing is sent unless `request_timeout + lease_margin` of it remain.

    `approval_ttl`: an approval asked for expires. `patience`: how long a first effect may wait for an API or a source that does not answer
    before the run is given up, since what it was planned on grows old. `look_after`: pause before asking whether a request without an answer
    happened. `recoveries`: intents that may get lost to crashes for one step, besides its retries. `burst`: transitions in a row for one run.
    `disruption_wait`: pause after a disruption budget said no.
    """

    lease_ttl: float = 30.0
    lease_margin: float = 5.0
    request_timeout: float = 10.0
    approval_ttl: float = 3600.0
    patience: float = 60.0
    look_after: float = 2.0
    again_after: float = 5.0
    recoveries: int = 3
    burst: int = 20
    disruption_wait: float = 5.0

    @property
    def needed(self) -> float:
        """What must remain of a lease when an effect is sent."""
        return self.request_timeout + self.lease_margin
