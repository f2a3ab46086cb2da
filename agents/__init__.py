"""What happens: one agent for each aggregate, and the downloads."""
