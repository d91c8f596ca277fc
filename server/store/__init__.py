"""The store: the database schema, its migrations, and all queries."""
