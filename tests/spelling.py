"""British spellings, which neither the contract nor the source uses."""

import re

BRITISH = re.compile(
    r"catalogue|behaviour|colour|favour|honour|neighbour|labour|modell|cancell(?:ed|ing)|licence"
    r"|(?:organ|recogn|summar|normal|real|serial|author|capital)is(?:e|ing|ation)|centre|analyse",
    re.IGNORECASE,
)
