"""What it costs, and why: rates, cards, discovery, procedures, tokens."""
