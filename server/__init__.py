"""The service: a pure domain, use cases around it, a store and the wire."""
