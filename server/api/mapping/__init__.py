"""Proto to domain and back, one module for each servicer."""
