"""Fakes that behave, for our tests and for authors of pages of their own."""
