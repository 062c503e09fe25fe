"""Run one service of `firstchair up` in the foreground, as in a container.

    python -m firstchair.commands.container api | dagster | dagster-daemon | mlflow

The process becomes the service, so it gets the signals itself; the container's runtime restarts it.
"""

import os
import sys

from firstchair.commands.up import NAMES, services, slug_of
from firstchair.errors import FirstchairError, RunError
from firstchair.platform.platform import open_platform
from firstchair.platform.start import note_first_start

EVERY_ADDRESS = "0.0.0.0"


def become(name: str) -> None:
    """Turn this process into the service `name`, which listens at every address of the container.

    Raises:
        RunError: There is no such service.
        SettingsError, SourceError: A setting cannot be used, or the database cannot be reached.
    """
    known = [slug_of(of_service) for of_service in NAMES]
    if name not in known:
        raise RunError(
            f"There is no service {name!r}.",
            where="firstchair.commands.container",
            data="Nothing was started.",
            remedy=f"Name one of {', '.join(known)}.",
        )
    platform = open_platform()
    found = {service.slug: service for service in services(platform, host=EVERY_ADDRESS)}
    if name.startswith("dagster"):
        from dagster_project.instance import prepare_home

        prepare_home(platform.settings)
        note_first_start(platform)
    os.environ.update(found[name].environment)
    command = found[name].command
    os.execv(command[0], command)


if __name__ == "__main__":
    try:
        become(" ".join(sys.argv[1:]))
    except FirstchairError as error:
        sys.exit(f"{error.what} [{error.code}, {error.where}]\n{error.data} {error.remedy}")
