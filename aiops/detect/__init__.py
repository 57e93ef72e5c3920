"""Pure detection: batches in, scores out. Neighbours: `domain.rule` says what to look for, `pipeline.observe` feeds `bank.RuleBank`."""
