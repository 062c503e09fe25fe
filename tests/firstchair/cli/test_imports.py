"""Commands that only read load no library that something else builds with."""

import subprocess
import sys

# What only the building of tables and models, the registry or Dagster needs.
BUILDS = ("alembic", "dagster", "evidently", "ibis", "mlflow", "pandas", "scipy", "xgboost")
# What a command needs, and its help does not.
WORKS = (*BUILDS, "deltalake", "duckdb", "numpy", "pyarrow", "pydantic_settings", "sqlalchemy")


def test_help_loads_no_library_of_a_command_and_status_none_that_builds() -> None:
    program = f"""
import sys
import firstchair.cli
print([name for name in {WORKS} if name in sys.modules])
import firstchair.commands.status
print([name for name in {BUILDS} if name in sys.modules])
"""

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split("\n") == ["[]", "[]", ""]
