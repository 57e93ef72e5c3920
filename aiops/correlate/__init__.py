"""Pure triage: signals to incidents, and what mutes them. Neighbours: `pipeline.triage` calls it and stores what it returns."""
