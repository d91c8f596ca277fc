"""Quotes, orders, assets and targets, as rows and back."""
