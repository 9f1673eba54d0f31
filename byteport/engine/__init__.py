"""One move at a time: load the incident, make the move, save it."""
