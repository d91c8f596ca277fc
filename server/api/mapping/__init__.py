"""Conversion of messages to domain values and back, one module for each servicer."""
