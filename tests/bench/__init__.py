"""What BytePort costs, measured beside what it stands on."""
