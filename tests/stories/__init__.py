"""Stories of customers, told through the public client only."""
