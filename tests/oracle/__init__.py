"""The oracle: a naive model of accounts, and the proof that arrival changes nothing."""
