"""Use cases of settlement: final usage as it was settled."""
