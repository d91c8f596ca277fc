"""Stories of runs that void or amend the usage that a filter selects."""
