"""What was used: records, where they go, and how much they come to."""
