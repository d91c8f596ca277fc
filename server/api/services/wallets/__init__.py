"""Servicers of wallets: balances, previews and blocking."""
