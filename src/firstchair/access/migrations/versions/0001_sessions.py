"""Sessions of the pages, by digest of their cookie."""

import sqlalchemy as sa
from alembic import op

revision = "access_0001"
down_revision = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "console_sessions",
        sa.Column("cookie_sha256", sa.Text, primary_key=True),
        sa.Column("token_sha256", sa.Text, nullable=False),
        sa.Column("began_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ends_at", sa.TIMESTAMP(timezone=True), nullable=False, index=True),
    )
