"""What maintainers run by hand; nothing of it is shipped."""
