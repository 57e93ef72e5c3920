"""aiops keeps Kubernetes platforms healthy: it detects, plans, acts under guardrails, verifies and tells."""
