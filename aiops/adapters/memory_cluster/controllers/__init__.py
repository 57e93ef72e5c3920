"""What reacts to changes in the in-memory cluster: Deployments, ReplicaSets, StatefulSets, the scheduler with the kubelets, budgets."""
