"""Rating procedures: stacks of elements, and what they make of lines."""
