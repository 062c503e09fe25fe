"""Addresses of artifacts: MLflow stores absolute ones, which are wrong after a home has moved."""

from pathlib import Path

import sqlalchemy as sa

from firstchair.databases import has_table

# Columns of MLflow 3.17 that hold addresses under an experiment's (`store/*/dbmodels/models.py`).
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def follow_home(database: sa.URL, experiment: str, root: Path) -> str | None:
    """Make MLflow's addresses begin with `root` if the home with its database has moved.

    A copy of a home has its own database, so it reads and writes its own artifacts. Idempotent.

    Args:
        database: Of MLflow, kept in the same home as the artifacts.
        experiment: Name of an experiment whose artifacts lie in `root`.
        root: Folder of the artifacts; absolute.

    Returns:
        The address that they had before; None if nothing was changed.
    """
    engine = sa.create_engine(database)
    try:
        with engine.begin() as connection:
            if not has_table(connection, "experiments"):
                return None
            asked = sa.text(
                "select artifact_location from experiments where name = :name for update"
            )
            before, after = connection.scalar(asked, {"name": experiment}), root.as_uri()
            if before is None or before == after:
                return None
            for table, column in ADDRESSES:
                moved = sa.text(
                    f"update {table} set {column} = :after || substr({column}, "
                    f"length(:before) + 1) where {column} = :before or starts_with({column}, "
                    ":before || '/')"
                )
                connection.execute(moved, {"before": before, "after": after})
            return str(before)
    finally:
        engine.dispose()
