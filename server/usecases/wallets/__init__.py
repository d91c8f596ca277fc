"""Use cases of wallets: balances, previews and blocking."""
