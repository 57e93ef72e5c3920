"""Definitions: YAML files become domain objects with compiled callables, or a list of problems with file, line and key."""
