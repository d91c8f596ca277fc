"""Rates, procedures and what is rated, to and from protos."""
