"""Stories of quotes before they are ordered."""
