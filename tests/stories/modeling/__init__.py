"""Stories of what can be consumed."""
