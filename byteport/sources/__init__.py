"""Signals in: one file per source, parsed purely."""
