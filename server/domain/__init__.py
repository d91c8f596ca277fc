"""What usage management means. Pure: the standard library only, no clock, no I/O."""
