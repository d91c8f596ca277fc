"""What pays for it: grants, drawdown, the ledger, balances, summaries."""
