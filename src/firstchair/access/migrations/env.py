"""Runs the migrations over the connection that `databases.migrate` hands in."""

from alembic import context

from firstchair.access.sessions import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
