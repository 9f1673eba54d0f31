"""A patient that counts: valves in a table, and every effect appended to another that has no unique key."""
