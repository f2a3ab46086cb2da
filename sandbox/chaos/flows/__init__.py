"""Workflows in a run: who asks for them, who does their processing, and hundreds side by side."""
