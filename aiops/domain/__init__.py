"""The nouns of the house: frozen values that every room speaks in. Imports nothing but the standard library (numpy in `series`)."""
