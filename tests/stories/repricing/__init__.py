"""Stories of what was agreed."""
