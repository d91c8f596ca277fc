"""The rules of what was used."""
