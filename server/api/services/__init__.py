"""The servicers: parse, do, render, one module for each service or kind of record."""
