"""Lists and their filters."""
