"""The tasks, one for each kind of job: each calls a use case with the job's payload."""
