"""The demo of the device's queue: `python -m sandbox.demo_queue`, or `make demo-queue`.

Read `story.py` first: it is the whole story. `proof.py` says what is checked at its end; the other files
do one thing each, and what both demos need is in `sandbox/demo`.
"""
