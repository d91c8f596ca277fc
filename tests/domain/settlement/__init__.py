"""The rules of what pays for it."""
