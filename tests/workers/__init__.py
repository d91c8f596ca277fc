"""Jobs and the process that does them."""
