"""Keys that lists go on after."""

from datetime import datetime
from uuid import UUID

TimeKey = tuple[datetime, UUID]
"""The time of the last row seen, and its id."""

NO_KEY = (None, None)
"""From the first row on."""
