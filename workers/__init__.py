"""The background work of the service."""
