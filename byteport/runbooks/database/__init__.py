"""Pages about databases and their poolers."""
