"""The real usage that tests read: `tests/data/README.md` says where it comes from."""

import csv
from pathlib import Path

TRACE = Path(__file__).with_name("data") / "azure_llm_inference_code_2023.csv"


def trace_rows() -> list[dict[str, str]]:
    """The rows of the trace: TIMESTAMP (UTC, seven decimals), ContextTokens, GeneratedTokens."""
    with TRACE.open(newline="") as file:
        return list(csv.DictReader(file))
