"""The processes: caches, job signals, heavy work, health, certificates and verification."""
