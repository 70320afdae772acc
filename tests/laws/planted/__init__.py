"""Faults planted on purpose: a law that cannot catch them is no law."""
