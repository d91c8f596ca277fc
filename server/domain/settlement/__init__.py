"""Rules of settlement: grants in wallets, drawdown, the ledger, ratable lines and tokens."""
