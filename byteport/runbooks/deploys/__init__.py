"""Pages about delivery pipelines."""
