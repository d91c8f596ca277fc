"""Usage: recorded once, refused at a cap, read."""
