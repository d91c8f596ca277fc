"""The contract: rules that its files keep."""
