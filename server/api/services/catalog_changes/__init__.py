"""Servicers of catalog changes: setup, product activation and policy revision."""
