"""What each kind of job does: the few lines between a row and a use case."""
