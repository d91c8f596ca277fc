"""Price books, cards, entries and procedures, as rows and back."""
