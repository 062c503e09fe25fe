"""What is served now, read from its manifest alone; no column is mapped."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from firstchair.definitions.arms import Bounds
from firstchair.publication.layout import MANIFEST, POINTER, VERSIONS, role_named


@dataclass(frozen=True, slots=True)
class Served:
    """Name and day of the published version, the champion's registered version, roles by bucket.

    redirects: version of silver/artist_redirects that it was made with; None if the manifest does
    not name it.
    """

    published: str
    as_of: date
    champion: str
    arms: Bounds
    redirects: int | None


def serves(root: Path) -> Served | None:
    """The version that the pointer names; None where nothing whole is published."""
    try:
        name = (root / POINTER).read_text()
        manifest = json.loads((root / VERSIONS / name / MANIFEST).read_text())
        return Served(
            published=name,
            as_of=date.fromisoformat(manifest["as_of"]),
            champion=manifest["roles"]["champion"]["version"],
            arms=tuple((role_named(stored), end) for stored, end in manifest["arms"]),
            redirects=manifest.get("redirects_version"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # damaged
        return None
