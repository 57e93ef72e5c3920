"""The composition root: alone names adapters, and alone knows how a daemon, a replay, a demo and a reading desk are put together."""
