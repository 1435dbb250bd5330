"""Rules that hold for all SQL that ships."""

import re
from importlib import import_module
from pkgutil import iter_modules

import pytest

import dosette.storage
from dosette.storage.connection import Statement, connect
from dosette.storage.migrate import migrations
from dosette_local.servers.postgres import Postgres

STATEMENTS = {
    f"{module.name}.{name}": value
    for module in iter_modules(dosette.storage.__path__)
    for name, value in vars(import_module(f"dosette.storage.{module.name}")).items()
    if isinstance(value, Statement)
}
ASKS_FOR_THE_TIME = re.compile(
    r"\b((now|(clock|statement|transaction)_timestamp)\s*\(|current_(date|time|timestamp))", re.IGNORECASE
)


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_can_be_prepared(postgres: Postgres, name: str):
    connection = connect(postgres.url_for("dosette_api", "api"), "test")

    with connection.cursor() as cursor:
        cursor.execute(STATEMENTS[name].prepare)
    connection.close()


def test_no_sql_asks_for_the_time():
    texts = {name: statement.prepare for name, statement in STATEMENTS.items()} | {
        each.name: each.text for each in migrations()
    }

    assert [name for name, text in texts.items() if ASKS_FOR_THE_TIME.search(text)] == []


def test_the_names_of_prepared_statements_are_unique():
    names = [re.split(r"[ (]", statement.prepare)[1] for statement in STATEMENTS.values()]

    assert sorted(names) == sorted(set(names))
