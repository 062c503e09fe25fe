"""The embedded Postgres as its users meet it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from firstchair.databases import Databases, open_databases, to_driver
from firstchair.databases.postgres import _open
from firstchair.settings import Settings


def test_each_owner_has_a_database_of_its_own(databases: Databases) -> None:
    names = {url.database for url in (databases.accounts, databases.ledger, databases.mlflow, databases.dagster)}

    assert len(names) == 4


def test_a_table_written_by_one_driver_is_read_by_the_other(databases: Databases) -> None:
    with sa.create_engine(databases.ledger).begin() as connection:
        connection.execute(sa.text("create table seats (holder text)"))
        connection.execute(sa.text("insert into seats values ('als')"))

    with sa.create_engine(to_driver(databases.ledger, "psycopg2")).connect() as connection:
        assert connection.scalar(sa.text("select holder from seats")) == "als"


def test_services_that_all_start_at_once_make_the_databases_together(new_database: Callable[[], sa.URL]) -> None:
    url = new_database().render_as_string(hide_password=False)
    settings = [Settings(database_url=url, source_database_url=url) for _ in range(8)]

    with ThreadPoolExecutor(len(settings)) as services:
        found = list(services.map(lambda own: _open.__wrapped__(own.home, url, url), settings))

    assert found == [open_databases(settings[0])] * len(settings)
