"""Mutations as values, one file per system; only the gate applies them."""
