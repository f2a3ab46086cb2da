"""The rules by which a run is judged: each takes a history and gives what breaks it."""
