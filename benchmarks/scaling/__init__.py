"""How a daily run grows with users, artists and events (`python -m benchmarks.scaling`)."""
