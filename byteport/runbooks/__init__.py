"""The pages that come with BytePort, one file each, in one folder per category."""
