"""What can be consumed: the catalogue, its policies, what a product comes to, and its rules."""
