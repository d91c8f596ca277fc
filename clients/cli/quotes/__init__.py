"""The commands about quotes before they are ordered, and acts on what was sold."""
