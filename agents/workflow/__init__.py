"""The workflow's aggregate: which task comes next, and how far each is."""
