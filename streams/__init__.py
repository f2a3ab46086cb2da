"""How messages travel: topics, durable tables, the window, open work, guard, dead letters."""
