"""The servicers, one module for each service: parse the request, run the use case, render."""
