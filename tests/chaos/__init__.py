"""The chaos campaign: a real fleet is killed, frozen and cut off, and a patient of its own counts what it did."""
