"""The guards, one subject a file. Each is a pure function of `contract.GuardInput` and `contract.GuardLimits`; `remediate.guardrails` is the table."""
