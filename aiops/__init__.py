"""aiops keeps Kubernetes platforms healthy: it detects, plans, acts under guardrails, verifies and tells."""

__version__ = "0.1.0"
