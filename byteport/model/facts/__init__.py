"""What the world can tell us, in our words; one file per field."""
