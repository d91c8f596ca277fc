"""Stories of assets that move to other rates, or follow the catalog."""
