"""The rules of what it costs."""
