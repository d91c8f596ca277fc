"""Rows of validation: the rules of the product validator."""
