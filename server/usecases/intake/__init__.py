"""Use cases of intake: recording usage, previews, rating batches."""
