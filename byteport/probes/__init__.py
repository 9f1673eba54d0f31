"""Read-only looks, one file per source; each yields facts in our words."""
