"""Faults against real workers: the bounded run, and proof that its checker can fail."""
