"""Prometheus and what speaks like it (Thanos, Mimir, VictoriaMetrics) as a `MetricSource`.

`source` is the fast client, `api_client` the same port over the prometheus-api-client package; `decode`, `labels` and `ranges` serve both.
"""

from aiops.adapters.prometheus.api_client import ApiClientSource
from aiops.adapters.prometheus.source import PrometheusOptions, PrometheusSource

__all__ = ["ApiClientSource", "PrometheusOptions", "PrometheusSource"]
