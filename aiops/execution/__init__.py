"""Carrying plans out: intent, act, observe, record; each effect once, across crashes.

`executor.Executor` is the door. One file for each concern: `effects` (intent and sending), `recovery` (look before acting), `forward`,
`undo`, `verify`, `approval`, `preview`; `progress` holds the pure parts, `desk` what all of them work with.
"""
