"""Tests with a real broker, real processes, or both."""
