"""A role that may read the ledger and add to it, and nothing else; entries are written as it."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the role where the server lets us; several databases of one server share it."""
    op.execute("""
        do $$ begin
            create role firstchair_ledger nologin;
        exception
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise notice 'no role firstchair_ledger: triggers alone guard the ledger';
        end $$
    """)
    op.execute("""
        do $$ begin
            if exists (select from pg_roles where rolname = 'firstchair_ledger') then
                grant usage on schema public to firstchair_ledger;
                grant select, insert on decisions to firstchair_ledger;
            end if;
        end $$
    """)
