"""Status page, API, health and metrics: readers of a view of the store, and askers through commands. Decides nothing."""
