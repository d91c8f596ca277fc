"""Servicers of catalog changes: set-up, product activation and policy revision."""
