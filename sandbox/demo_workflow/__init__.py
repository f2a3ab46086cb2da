"""The demo of workflows: `python -m sandbox.demo_workflow`, or `make demo-workflow`.

Read `story.py` first: it is the whole story. `proof.py` says what is checked at its end; what the demos
share is in `sandbox/demo`.
"""
