"""Dimensions: what usage is told apart by beside its asset, as in a region or a model.

A resource names the labels that matter. Usage with other values of these is counted, drawn and
rated apart; which tier it is in depends on all that the wallet used, as it does for several assets.
The values of one piece of usage travel as one text, the same for the same values.
Source: rates by attribute.
"""

import json
from collections.abc import Mapping

from server.domain.caches import memoize
from server.domain.limits import value_of

MOST_DIMENSIONS = value_of("resource.dimensions")

NONE = ""
"""The text of usage without any."""


def dimensions_text(names: tuple[str, ...], labels: Mapping[str, str] | None) -> str:
    """The values that `labels` have of the dimensions; a label that is not there is none."""
    if not names or not labels:
        return NONE
    found = {name: labels[name] for name in names if name in labels}
    return json.dumps(found, sort_keys=True, separators=(",", ":")) if found else NONE


@memoize(entries=16_384, entry_bytes=8_192, longest=4_096)
def dimensions_of(text: str) -> Mapping[str, str]:
    """The values that a text tells of."""
    return json.loads(text) if text else {}
