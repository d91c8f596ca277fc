"""Periods: closed, opened again, read, verified; wallets as they are now."""
