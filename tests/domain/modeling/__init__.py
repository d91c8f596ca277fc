"""The rules of what can be consumed."""
