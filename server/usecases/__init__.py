"""Load, decide, save: one function for each RPC or job."""
