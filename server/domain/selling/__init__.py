"""What was agreed: sales, what activates, packs and commitments, whom grants are bound to."""
