"""Use cases of intake: recording usage, and what it would do."""
