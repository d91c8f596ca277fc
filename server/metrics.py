"""Counters and histograms of the process, served on a port of their own."""

from bisect import bisect_left
from collections import Counter as Totals
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import REGISTRY, Counter, Gauge
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from server.domain.caches import caches

CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class MethodCalls:
    """The counts of one method; hot. Only the event loop changes them, so there is no lock."""

    __slots__ = ("by_code", "by_seconds", "seconds")

    def __init__(self) -> None:
        self.by_code: dict[str, int] = {"OK": 0}
        self.by_seconds = [0] * (len(CALL_SECONDS) + 1)
        self.seconds = 0.0

    def count(self, code: str) -> None:
        """Count a call that ended with a code."""
        self.by_code[code] = self.by_code.get(code, 0) + 1

    def observe(self, seconds: float) -> None:
        """Count a call that took so many seconds."""
        self.by_seconds[bisect_left(CALL_SECONDS, seconds)] += 1
        self.seconds += seconds


class Calls(Collector):
    """The calls of all methods, in the format of Prometheus."""

    def __init__(self) -> None:
        self._methods: dict[str, MethodCalls] = {}

    def of(self, method: str) -> MethodCalls:
        """Return the counts of a method."""
        return self._methods.setdefault(method, MethodCalls())

    def collect(self) -> Iterator[Metric]:
        """Return the families `usage_calls_total` and `usage_call_seconds`."""
        counts = CounterMetricFamily(
            "usage_calls", "Calls answered, by method and code.", labels=["method", "code"]
        )
        times = HistogramMetricFamily(
            "usage_call_seconds", "How long calls took, by method.", labels=["method"]
        )
        bounds = [*map(floatToGoString, CALL_SECONDS), "+Inf"]
        # A copy, because Prometheus reads in another thread while the event loop may add a method.
        for name, method in list(self._methods.items()):
            for code, number in list(method.by_code.items()):
                counts.add_metric([name, code], number)
            buckets = list(zip(bounds, accumulate(method.by_seconds), strict=True))
            times.add_metric([name], buckets, method.seconds)
        yield counts
        yield times


class Caches(Collector):
    """The caches of the process, in the format of Prometheus; caches of one name are added up."""

    def collect(self) -> Iterator[Metric]:
        """Return the families `usage_cache_entries` and its limits."""
        sizes: Totals[str] = Totals()
        entries: Totals[str] = Totals()
        limits: Totals[str] = Totals()
        for state in caches():
            sizes[state.name] += state.entries
            entries[state.name] += state.most_entries
            limits[state.name] += state.most_bytes
        for name, text, values in (
            ("usage_cache_entries", "Entries in a cache.", sizes),
            ("usage_cache_limit_entries", "The most entries of a cache.", entries),
            ("usage_cache_limit_bytes", "The most bytes of a cache.", limits),
        ):
            family = GaugeMetricFamily(name, text, labels=["cache"])
            for cache, value in values.items():
                family.add_metric([cache], value)
            yield family


CALLS = Calls()
REGISTRY.register(CALLS)
REGISTRY.register(Caches())
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
JOB_SIGNALS_DROPPED = Counter(
    "usage_job_signals_dropped_total", "Job signals that Redis did not take in time."
)
JOBS = Counter("usage_jobs_total", "Jobs ended, by kind and how.", ["kind", "state"])
STORE_IS_SAFE = Gauge("usage_store_is_safe", "1 while the store keeps what it acknowledged.")
TLS_RELOADS = Counter(
    "usage_tls_reloads_total",
    "Changed certificate files, by outcome: loaded, or refused (the last good ones stay).",
    ["outcome"],
)
