"""What a customer lives through, told through the public client only."""
