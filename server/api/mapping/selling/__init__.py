"""Messages of selling: quotes, orders, assets, entitlements and their targets."""
