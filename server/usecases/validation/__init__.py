"""Use cases of validation: the rules of the product validator."""
