"""Rules of wallets: balances, previews and blocking."""
