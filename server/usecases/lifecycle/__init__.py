"""Use cases of lifecycle: activation of orders."""
