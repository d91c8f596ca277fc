"""Rows of billing: closing of periods, corrections, liable lines and replay."""
