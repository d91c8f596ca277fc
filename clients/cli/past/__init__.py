"""Commands about what changed the past."""
