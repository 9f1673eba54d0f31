"""The words that a page is written with."""
