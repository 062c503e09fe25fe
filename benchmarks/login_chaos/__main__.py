"""50 publications and 20 killed workers under a load of logins: all answers right, none lost.

python -m benchmarks.login_chaos [--publications N] [--kills N]
"""

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.login_chaos.chaos import Chaos
from benchmarks.logins.lists import Catalogue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--publications", type=int, default=50)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", type=float, default=2_000.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Catalogue(2_000, 5_000, 20, datetime.now(UTC).date(), b"a benchmark's key")
        chaos = Chaos(Path(folder), catalogue, workers=3, rate=given.rate)
        for name, value in chaos.run(publications=given.publications, kills=given.kills).items():
            print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
