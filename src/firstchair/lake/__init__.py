"""Delta tables, their fingerprints, and the engine that reads them."""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.lake.delta import ArrowData, Lake, connect
    from firstchair.lake.engine import STAGED, DuckDBEngine, Engine, open_engine, require_engine
    from firstchair.lake.former import (
        keep_former_artists,
        keep_former_tracks,
        keep_former_users,
        known_artists,
        known_tracks,
        known_users,
    )
    from firstchair.lake.redirects import (
        holds_merged,
        merged_artists,
        redirects_of,
        under_current_artists,
    )
    from firstchair.lake.simulation import is_simulated
    from firstchair.lake.spark_session import (
        SparkSettings,
        computing,
        java_version,
        open_session,
        remove_left,
        require_spark,
        staged_files,
    )
    from firstchair.lake.statements import Definition, statement, unread
    from firstchair.lake.stores import LakeFile, LakeFiles, store_fault
    from firstchair.lake.tables import Table
    from firstchair.lake.trial import TRIAL, try_lake
    from firstchair.lake.upkeep import (
        TableSize,
        TableUpkeep,
        drop_earlier_versions,
        maintain_table,
        size_of,
        vacuum,
    )

__all__ = [
    "STAGED",
    "TRIAL",
    "ArrowData",
    "Definition",
    "DuckDBEngine",
    "Engine",
    "Lake",
    "LakeFile",
    "LakeFiles",
    "SparkSettings",
    "Table",
    "TableSize",
    "TableUpkeep",
    "computing",
    "connect",
    "drop_earlier_versions",
    "holds_merged",
    "is_simulated",
    "java_version",
    "keep_former_artists",
    "keep_former_tracks",
    "keep_former_users",
    "known_artists",
    "known_tracks",
    "known_users",
    "maintain_table",
    "merged_artists",
    "open_engine",
    "open_session",
    "redirects_of",
    "remove_left",
    "require_engine",
    "require_spark",
    "size_of",
    "staged_files",
    "statement",
    "store_fault",
    "try_lake",
    "under_current_artists",
    "unread",
    "vacuum",
]

__getattr__ = deferred(
    __name__,
    __all__,
    (
        *("tables", "stores", "delta", "redirects", "former", "simulation", "upkeep", "trial"),
        *("spark_session", "statements", "engine"),
    ),
)
