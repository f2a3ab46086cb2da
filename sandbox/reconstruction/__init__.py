"""A reconstruction worker: the example for those who write their own. Start with worker.py."""
