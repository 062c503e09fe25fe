"""Runs the migrations over the connection that `databases.migrate` hands in."""

from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"], target_metadata=None, version_table=given["version_table"]
)
with context.begin_transaction():
    context.run_migrations()
