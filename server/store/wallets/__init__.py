"""Rows of wallets: balances, previews and blocking."""
