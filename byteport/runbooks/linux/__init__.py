"""Pages about Linux hosts."""
