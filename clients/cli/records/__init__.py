"""Commands about usage records: recording a file, loading, and what became of a record."""
