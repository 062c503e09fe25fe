"""What was registered as each version, for those who read it without MLflow."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "registered_versions",
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("as_of", sa.Date, nullable=False, index=True),
        sa.Column("data_fingerprint", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
    )
