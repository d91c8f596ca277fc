"""The rules, in numbers a person can add up, and their properties."""
