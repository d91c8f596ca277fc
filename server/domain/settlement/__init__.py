"""Rules of settlement: grants that are held, drawdown, the ledger, ratable lines and tokens."""
