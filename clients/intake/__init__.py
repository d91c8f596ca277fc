"""Usage out of files: CSV and JSON to records, line by line. Pure: bytes in, values out.

Nothing is guessed: a line that cannot be read exactly becomes a BadLine with its number, and the
lines behind it are read as if it were not there. Where the end of a line cannot be known, because a
quote does not end, reading ends too.
"""
