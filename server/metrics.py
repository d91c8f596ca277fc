"""Counters and histograms, named in one place, served on a port of their own."""

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter("usage_calls_total", "Calls answered, by method and code.", ["method", "code"])
CALL_SECONDS = Histogram(
    "usage_call_seconds",
    "How long calls took, by method.",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
INCIDENTS = Counter("usage_incidents_total", "Faults of ours: answered INTERNAL, and logged.")
MISSED = Counter("usage_missed_validation_total", "Values that only the database refused.")
CALLS_SHED = Counter("usage_calls_shed_total", "Calls refused to keep up, by reason.", ["reason"])
LOG_LINES_DROPPED = Counter(
    "usage_log_lines_dropped_total", "Log lines that could not be written, by reason.", ["reason"]
)
ANSWERS_UNDELIVERED = Counter(
    "usage_answers_undelivered_total", "Answers whose client had gone before they were sent."
)
BOOKKEEPING_FAILURES = Counter(
    "usage_bookkeeping_failures_total", "Answers whose log line or metric could not be made."
)
RINGS_DROPPED = Counter("usage_rings_dropped_total", "Rings that Redis did not take in time.")
JOBS = Counter("usage_jobs_total", "Jobs ended, by kind and how.", ["kind", "state"])
STORE_IS_SAFE = Gauge("usage_store_is_safe", "1 while the store keeps what it acknowledged.")
TLS_RELOADS = Counter(
    "usage_tls_reloads_total",
    "Changed certificate files, by outcome: loaded, or refused (the last good ones stay).",
    ["outcome"],
)
