"""Postgres: the schema, and the queries that read and write it."""
