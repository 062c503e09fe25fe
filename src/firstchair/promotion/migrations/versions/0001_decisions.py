"""The ledger: one row a decision, added and never changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table, and triggers that refuse to change or remove a row, or all of them."""
    op.create_table(
        "decisions",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("decision_id", sa.Text, nullable=False, unique=True),
        sa.Column("decided_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("champion_before", sa.Text),
        sa.Column("champion_after", sa.Text),
        sa.Column("challenger", sa.Text),
        sa.Column("stage_before", sa.Text),
        sa.Column("stage_after", sa.Text),
        sa.Column("reason_codes", pg.ARRAY(sa.Text), nullable=False),
        sa.Column("reasons", pg.ARRAY(sa.Text), nullable=False),
        sa.Column("evidence", pg.JSONB, nullable=False),
        sa.Column("data_fingerprint", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.CheckConstraint(
            "decision in ('promote', 'hold', 'reject', 'roll_back')", name="known_decision"
        ),
    )
    op.execute("""
        create function refuse_change() returns trigger language plpgsql as $$
        begin
            raise exception 'the ledger is append-only: % refused', tg_op;
        end $$
    """)
    op.execute(
        "create trigger append_only before update or delete or truncate on decisions "
        "for each statement execute function refuse_change()"
    )
