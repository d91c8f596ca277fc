"""Dimensions: labels by which usage is counted separately, such as a region or a model.

A resource names its dimensions. Usage with different values is counted, drawn and rated separately;
its tier depends on all usage of the wallet, as it does with several assets. The values are stored
as one text, which is equal for equal values. Source: rates by attribute.
"""

import json
from collections.abc import Mapping

from server.domain.caches import memoize_texts
from server.domain.limits import value_of

MOST_DIMENSIONS = value_of("resource.dimensions")

NONE = ""
"""The text of usage without dimensions."""


def dimensions_text(names: tuple[str, ...], labels: Mapping[str, str] | None) -> str:
    """Return the text of the values that `labels` have of the named dimensions."""
    if not names or not labels:
        return NONE
    found = {name: labels[name] for name in names if name in labels}
    # Sorted and without spaces, so that equal values give equal texts.
    return json.dumps(found, sort_keys=True, separators=(",", ":")) if found else NONE


@memoize_texts(entries=16_384, most_bytes=16 * 1024 * 1024)
def dimensions_of(text: str) -> Mapping[str, str]:
    """Return the values of a text."""
    return json.loads(text) if text else {}
