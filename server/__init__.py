"""The service: a pure domain, use cases around it, a store and the wire."""

import os

# Read when gRPC is first imported. Otherwise each failed handshake of anybody who knocks, such as a
# port scanner, is a line among ours that is no JSON.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
