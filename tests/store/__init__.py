"""Tests of the schema and of what is kept in it."""
