"""Messages of wallets: balances, previews and blocking."""
