"""Stories of what it costs."""
