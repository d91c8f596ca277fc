"""Procedures: stacks of elements, and the outcomes of lines that pass through them."""
