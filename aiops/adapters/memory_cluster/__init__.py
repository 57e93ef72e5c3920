"""A Kubernetes cluster in memory, in the time of a given clock, that answers like the real API.

For replay, demos, dry runs and tests: the same contract suite runs over it and over kube-apiserver. Neighbours: `ports.cluster`,
`adapters.kubernetes` (the real one).
"""

from .cluster import MemoryCluster, node
from .rbac import EVERYTHING, READ_ONLY, Rule, rules_of
from .server import LoggedWrite

__all__ = ["EVERYTHING", "READ_ONLY", "LoggedWrite", "MemoryCluster", "Rule", "node", "rules_of"]
