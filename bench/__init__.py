"""Measurements: how fast one processor is, and what a job costs. `smoke.py` is the short one."""
