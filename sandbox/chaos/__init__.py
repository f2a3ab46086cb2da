"""Seeded random faults against the real processor, and a checker that decides what they did to it."""
