"""Bad input: random messages on every input topic, and what became of each."""
