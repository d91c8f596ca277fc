"""Rules of rating: rate cards, discovery, procedures, and the arithmetic of a rate."""
