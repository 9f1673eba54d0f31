"""What is stored between two moves."""
