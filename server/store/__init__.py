"""What is kept: the schema, its migrations, and the queries on it."""
