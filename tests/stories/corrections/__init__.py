"""Stories of changes of the past: late, voided and amended usage, sales of the past, loading."""
