"""Schema changes, oldest first. Run at open by `adapters.store.migrate`, never edited once released."""
