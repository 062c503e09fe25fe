"""Format of a published version on disk: names and units, for its writer and its readers."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from firstchair.definitions.arms import HOLDOUT

POINTER, VERSIONS, MANIFEST = "CURRENT", "versions", "manifest.json"
REDIRECTS = "redirects.json"
FORMAT = 5
# Earlier releases wrote format 4, which differs in the name of one role, see `role_named`.
READABLE = (4, FORMAT)
# Scores are published with four decimals, as whole numbers of this unit.
SCORE_UNITS = 10_000
NOBODY = -1
NAME = re.compile(r"\d{4}-\d\d-\d\d-[0-9a-f]{12}")
# Name in files and manifest of the list that unknown users are shown; every format has it.
UNKNOWN_USER = "stranger"


def role_named(stored: str) -> str:
    """Present name of a role in a manifest; format 4 called the holdout `holdback`."""
    return HOLDOUT if stored == "holdback" else stored


def name_of(manifest: Mapping[str, Any]) -> str:
    """Name of a published version, by its day and the content of its manifest without the name."""
    content = {key: value for key, value in manifest.items() if key != "version"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{manifest['as_of']}-{digest[:12]}"
