"""The wire: refusals, pages, masks, permissions."""
