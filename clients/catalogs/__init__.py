"""Whole catalogs: exported, written to files, and cut into parts that are applied."""
