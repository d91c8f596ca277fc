"""The runtime of processes: caches, job signals, heavy work, health, certificates, verification."""
