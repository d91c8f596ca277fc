"""The rules of usage management. Pure: no clock, no I/O, and the standard library only."""
