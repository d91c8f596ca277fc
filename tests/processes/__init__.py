"""Real processes on a durable store: killed, stopped, measured."""
