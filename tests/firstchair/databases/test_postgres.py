"""The embedded Postgres as its users meet it."""

import sqlalchemy as sa

from firstchair.databases import Databases, to_driver


def test_each_owner_has_a_database_of_its_own(databases: Databases) -> None:
    names = {url.database for url in (databases.accounts, databases.ledger, databases.mlflow, databases.dagster)}

    assert len(names) == 4


def test_a_table_written_by_one_driver_is_read_by_the_other(databases: Databases) -> None:
    with sa.create_engine(databases.ledger).begin() as connection:
        connection.execute(sa.text("create table seats (holder text)"))
        connection.execute(sa.text("insert into seats values ('als')"))

    with sa.create_engine(to_driver(databases.ledger, "psycopg2")).connect() as connection:
        assert connection.scalar(sa.text("select holder from seats")) == "als"
