"""The commands about quotes before they are ordered."""
