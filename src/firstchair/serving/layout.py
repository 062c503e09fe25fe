"""How a published version lies on disk: names and units, for its writer and its readers."""

POINTER, VERSIONS, MANIFEST = "CURRENT", "versions", "manifest.json"
FORMAT = 4
# Scores are published with four decimals, as whole numbers of this unit.
SCORE_UNITS = 10_000
NOBODY = -1
# As in promotion.arms, which a worker does not import.
BUCKETS = 10_000
