"""Values and nothing else: pydantic and the standard library."""
