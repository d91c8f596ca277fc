"""The API: converts requests to domain values, and results and refusals to messages."""
