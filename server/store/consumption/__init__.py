"""Rows of consumption: usage records, intake rules, placement and aggregation."""
