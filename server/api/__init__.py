"""The wire: requests to domain values, domain values and refusals to messages."""
