"""Rates: made, changed, looked up, applied."""
