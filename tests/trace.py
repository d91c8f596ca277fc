"""The real usage that tests read: where it is, and what to do when it is not there.

`USAGE_TRACE_CSV` names the file; without it, it is looked for beside the checkout. It is "Azure LLM
inference trace 2023" (code) of the AzurePublicDataset, CC-BY 4.0.
"""

import csv
import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[2] / "shared/data/azure_llm_inference_code_2023.csv"


def trace_file() -> Path:
    """The file; skips the test that asks when there is none, or fails it where it is required."""
    path = Path(os.environ.get("USAGE_TRACE_CSV", BESIDE))
    if not path.exists():
        absent = f"no {path}: get AzureLLMInferenceTrace_code.csv and name it by USAGE_TRACE_CSV"
        if os.environ.get("USAGE_TRACE_REQUIRED"):
            pytest.fail(absent)
        pytest.skip(absent)
    return path


def trace_rows() -> list[dict[str, str]]:
    """Its rows: TIMESTAMP (UTC, seven decimals), ContextTokens, GeneratedTokens."""
    with trace_file().open(newline="") as file:
        return list(csv.DictReader(file))
