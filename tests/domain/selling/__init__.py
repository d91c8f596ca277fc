"""The rules of what was agreed."""
