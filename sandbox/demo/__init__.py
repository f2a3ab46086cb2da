"""The demo: `python -m sandbox.demo` runs six scans on one machine and checks every image.

Read `run.py` first: it is the whole story. The other files do one thing each.
"""
