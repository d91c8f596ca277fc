"""The usage management service: API, use cases, domain, store and runtime."""

import os

# Set before gRPC is imported. Otherwise each failed handshake, as of a port scanner, adds a log
# line that is not JSON.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# A forked child only starts another program. The handlers of gRPC would restart its threads in it
# first, which now and then never ends.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
