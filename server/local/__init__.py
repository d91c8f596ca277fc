"""Postgres and Redis as child processes, so that one command runs the whole service."""
