"""Servicers of access: tenants, credentials and jobs."""
