"""The flow: poll → observe → triage → decide → act → announce. Each stage passes a record on, or drops it with a stored reason."""
