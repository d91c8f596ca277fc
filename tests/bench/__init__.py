"""Benchmarks: every figure beside its yardstick of the same run on the same machine."""
