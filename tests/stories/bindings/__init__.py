"""Stories about what is bound to what: targets, pools and packs."""
