"""Protocols between the decisions and the world. Adapters implement them; `app` alone chooses which."""
