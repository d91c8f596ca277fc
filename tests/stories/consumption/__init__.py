"""Stories of what was used."""
