"""Figures, ours and a peer in turn; `benchmarks/README.md` says what each shows."""
