"""What is spent, what would be enough, and what the difference is worth. Pure; asks `forecast` for what is still to come."""
