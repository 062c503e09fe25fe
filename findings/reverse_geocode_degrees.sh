#!/usr/bin/env bash
# reverse-geocode 1.6.6 (PyPI, pinned below) finds the nearest place in degrees, not on the globe.
#
# Valid input: reverse_geocode.get((latitude, longitude)), degrees.
# Cause: reverse_geocode/__init__.py, class GeocodeData, builds a scipy cKDTree over plain
# (latitude, longitude) pairs. A degree of longitude weighs as much as one of latitude, and
# longitudes -180 and 180 lie at opposite ends.
#
# Seen (Python 3.11), with distances to the package's own places by the haversine formula:
#   (56.009, 25.806): answers Aknīste (LV), 17.3 km; nearest is Rokiškis (LT), 14.3 km
#   (-16.85, -179.97): answers Tubou (FJ), 197.1 km; nearest is Labasa (FJ), 84.7 km
#   (55.98, -3.29): answers Aberdour (GB), 8.3 km; nearest is Edinburgh (GB), 6.6 km
#
# Exits 0 while the package behaves so, 1 with a message when it does not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check reverse-geocode==1.6.6

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version
from math import asin, cos, radians, sin, sqrt

import reverse_geocode

PLACES = reverse_geocode.GeocodeData()._locations


def kilometres(point, place):
    a, b, c, d = map(radians, (*point, place["latitude"], place["longitude"]))
    chord = sin((c - a) / 2) ** 2 + cos(a) * cos(c) * sin((d - b) / 2) ** 2
    return 2 * 6371 * asin(sqrt(chord))


print(f"reverse-geocode {version('reverse-geocode')}")
wrong = 0
for point in ((56.009, 25.806), (-16.85, -179.97), (55.98, -3.29)):
    answer = reverse_geocode.get(point)
    nearest = min(PLACES, key=lambda place: kilometres(point, place))
    said, true = kilometres(point, answer), kilometres(point, nearest)
    print(
        f"{point}: answers {answer['city']} ({answer['country_code']}), {said:.1f} km;"
        f" nearest is {nearest['city']} ({nearest['country_code']}), {true:.1f} km"
    )
    wrong += said > true + 0.001
if wrong < 3:
    sys.exit("reverse-geocode now answers the nearest place: this finding is out of date.")
PYTHON
