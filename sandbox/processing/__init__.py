"""A processing service: the example for those who write their own. Start with worker.py."""
