"""Discovery on the wire: read questions, look up cached answers, render the others."""
