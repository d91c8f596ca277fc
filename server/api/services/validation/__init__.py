"""Servicers of validation: the rules of the product validator."""
