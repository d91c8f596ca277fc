"""Messages of access: tenants, credentials and jobs."""
