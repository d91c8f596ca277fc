"""Meters, records and cells, as rows and back."""
