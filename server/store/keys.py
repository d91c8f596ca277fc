"""Keys that lists go on after."""

from datetime import datetime
from uuid import UUID

TimeKey = tuple[datetime, UUID]
"""When the last row seen was made or begins, and its id."""

NO_KEY = (None, None)
"""From the first row on."""
