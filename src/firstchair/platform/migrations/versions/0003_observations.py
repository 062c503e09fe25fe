"""What Dagster and MLflow were last seen to say: one row, replaced at each look."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "journal_0003"
down_revision = "journal_0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "observations",
        sa.Column("of", sa.Text, primary_key=True),
        sa.Column("seen_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("found", pg.JSONB, nullable=False),
    )
