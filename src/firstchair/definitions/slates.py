"""How long a slate may still be answered."""

# A slate shown before midnight is clicked after it; nobody leaves one open for longer than a day.
SLATE_DAYS = 1
