"""Sales: quoted, ordered, activated."""
