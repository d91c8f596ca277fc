"""Periods, wallets, the ledger and summaries, as rows and back."""
