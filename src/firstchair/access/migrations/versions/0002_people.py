"""Sessions of people whom an identity provider signed in, beside those of tokens."""

import sqlalchemy as sa
from alembic import op

revision = "access_0002"
down_revision = "access_0001"


def upgrade() -> None:
    """Add who it is and what they may do; a session then has this or a token."""
    op.alter_column("console_sessions", "token_sha256", nullable=True)
    for name in ("issuer", "name", "scopes"):
        op.add_column("console_sessions", sa.Column(name, sa.Text))
    op.create_check_constraint(
        "somebody",
        "console_sessions",
        "token_sha256 is not null or (issuer is not null and name is not null "
        "and scopes is not null)",
    )
