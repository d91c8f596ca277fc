"""Postgres and Redis as children of this process, so that one command is all it takes to run."""
