"""The catalogue and its policies, as rows and back."""
