"""People out: one file per channel that an escalation may take."""
