"""Commands that keep a platform well: maintain its files, back it up, restore it."""

from pathlib import Path
from typing import Annotated

import typer

from firstchair.cli import upkeep_screens
from firstchair.cli.app import AsJson, app
from firstchair.cli.output import at_work, show


@app.command()
def maintain(as_json: AsJson = False) -> None:
    """Merge small files of the lake, remove what no version, decision or retention needs."""
    from firstchair.platform import open_platform
    from firstchair.platform.upkeep import maintain as maintain_platform

    with at_work("maintain"):
        report = maintain_platform(open_platform())
    show(report, as_json=as_json, screen=lambda: upkeep_screens.maintained(report))


@app.command()
def backup(
    path: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    as_json: AsJson = False,
) -> None:
    """Write everything under our control into one folder, consistent and with checksums."""
    from firstchair.commands.backup import backup as make_backup
    from firstchair.platform import open_platform

    with at_work("backup"):
        report = make_backup(open_platform(), path)
    show(report, as_json=as_json, screen=lambda: upkeep_screens.backed_up(report))


@app.command()
def restore(
    path: Annotated[Path, typer.Argument(help="Folder of a backup.")],
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace what is there; what was in the home is kept in a folder of it.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the home out of a backup, after every file of it was checked."""
    from firstchair.commands.restore import restore as restore_backup
    from firstchair.settings import load_settings

    with at_work("restore"):
        report = restore_backup(load_settings(), path, overwrite=overwrite)
    show(report, as_json=as_json, screen=lambda: upkeep_screens.restored(report))
