"""Real servers for tests and demos, on loopback: Kubernetes, Prometheus, Alertmanager, Elasticsearch, Redis. See README.md."""
