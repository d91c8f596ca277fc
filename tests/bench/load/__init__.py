"""Load tests of a whole stack: sustained, and far beyond what it can answer."""
