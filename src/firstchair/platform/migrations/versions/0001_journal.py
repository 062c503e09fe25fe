"""The journal of retraining causes, append-only; and incidents with their deliveries."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "journal_0001"
down_revision = None


def upgrade() -> None:
    """Make both tables, and triggers that refuse to change or remove what caused something."""
    op.create_table(
        "retraining_triggers",
        sa.Column("sequence", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("recorded_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("evidence", pg.JSONB, nullable=False),
        sa.UniqueConstraint("as_of", "cause", name="one_outcome_a_day"),
        sa.CheckConstraint(
            "outcome in ('fired', 'not_held', 'same_episode', 'cool_down')", name="known_outcome"
        ),
    )
    op.execute("""
        create function refuse_journal_change() returns trigger language plpgsql as $$
        begin
            raise exception 'the journal is append-only: % refused', tg_op;
        end $$
    """)
    op.execute(
        "create trigger append_only before update or delete or truncate on retraining_triggers "
        "for each statement execute function refuse_journal_change()"
    )
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("opened_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("resolved_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("resolution_delivered_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("last_fault", sa.Text),
    )
    op.create_index(
        "one_open_incident_a_code",
        "incidents",
        ["code"],
        unique=True,
        postgresql_where=sa.text("resolved_at is null"),
    )
