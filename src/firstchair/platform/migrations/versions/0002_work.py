"""Who is at work on the tables: one row a lock, of the session that holds it."""

import sqlalchemy as sa
from alembic import op

revision = "journal_0002"
down_revision = "journal_0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "work",
        sa.Column("lock", sa.Text, primary_key=True),
        sa.Column("backend", sa.Integer, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("process", sa.Text, nullable=False),
        sa.Column("since", sa.TIMESTAMP(timezone=True), nullable=False),
    )
