"""Rows of access: tenants, credentials and jobs."""
