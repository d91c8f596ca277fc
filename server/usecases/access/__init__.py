"""Use cases of access: tenants, credentials and jobs."""
