"""The tests: see README.md for what each directory needs."""
