"""The catalogue: made, changed, activated, checked."""
