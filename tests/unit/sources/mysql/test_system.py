"""MySQL as it is declared: what it shows, and what it needs."""

import pickle

import dagster as dg
import pytest

from practicus_assets import DeclarationError, MySQL


def test_a_declaration_shows_no_credential_and_connects_to_nothing() -> None:
    shop = MySQL(host="db", database="shop", user="reader", password="hunter2hunter2")  # noqa: S106 an example
    table = shop.table("orders", {"size": "int8"})
    assert repr(table) == "MySQL('mysql://db:3306/shop').table('orders')"
    assert (shop.pool, shop.kind, table.name) == ("source/db_3306_shop", "mysql", "orders")
    assert "hunter2" not in repr([shop, shop.login, table, shop.session()])
    assert pickle.loads(pickle.dumps(table)) == table  # noqa: S301 our own


def test_a_password_is_read_when_a_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = MySQL(host="db", database="shop", user="reader", password=dg.EnvVar("SHOP_PASSWORD"))
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    with pytest.raises(DeclarationError, match="environment variable SHOP_PASSWORD, which is not set"):
        shop.login.arguments()
    monkeypatch.setenv("SHOP_PASSWORD", "é")
    assert shop.login.arguments()["password"] == "é".encode()


def test_without_its_driver_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("practicus_assets.sources.mysql.system.find_spec", lambda _: None)
    shop = MySQL(host="db", database="shop", user="reader")
    for use in (lambda: shop.table("t"), lambda: shop.query("SELECT 1"), shop.session):
        with pytest.raises(DeclarationError, match=r"pip install 'practicus-assets\[mysql\]'"):
            use()


@pytest.mark.parametrize("name", ["", "a.b.c", "a.", "`a", "a\0b"])
def test_a_name_that_no_table_can_have_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError):
        MySQL(host="db", database="shop", user="reader").table(name)
