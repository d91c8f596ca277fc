"""Stories of what pays for it."""
