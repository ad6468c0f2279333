"""Models of several inputs, models with a history, and inputs that others write: what is read, and when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from runner.graph import order
from runner.run import Event, RunOptions, run
from tests.shop import Shop, merge

# --- one input by its changes, others whole -------------------------------------------------------

PRICED = """\
  - name: priced
    sql: sql/priced.sql
    sources:
      orders: {table: ext.orders, read: changes}
      rates: {table: ext.rates, read: all}
      names: {files: {path: names.csv, format: csv}, read: all}
    target:
      table: shop.priced
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint}, currency: {type: string}}
"""
PRICED_SQL = merge(
    "SELECT o.id, o.amount * r.rate AS amount, n.name AS currency\n"
    "FROM {{ source('orders') }} AS o\n"
    "LEFT JOIN {{ source('rates') }} AS r ON o.currency = r.currency\n"
    "LEFT JOIN {{ source('names') }} AS n ON o.currency = n.currency"
)


@pytest.fixture
def priced(spark: SparkSession, tmp_path: Path) -> Shop:
    shop = Shop(spark, tmp_path, PRICED, priced=PRICED_SQL)
    (shop.root / "names.csv").write_text("currency,name\nE,Euro\nY,Yen\n")
    shop.table(
        "ext.orders",
        {"id": "string", "amount": "bigint", "currency": "string"},
        "('a', 1, 'E'), ('b', 2, 'Y')",
    )
    shop.table("ext.rates", {"currency": "string", "rate": "bigint"}, "('E', 10), ('Y', 100)")
    assert shop.run() == 0, shop.faults()
    return shop


def test_a_commit_to_a_table_read_whole_rebuilds_and_a_compaction_does_not(priced: Shop) -> None:
    priced.sql("UPDATE ext.rates SET rate = 20 WHERE currency = 'E'")
    assert priced.run() == 0
    assert priced.did("shop.priced") == ("rebuild", "ext.rates changed")
    assert priced.counts("shop.priced") == (0, 1, 0), "the row whose rate did not change is left alone"
    assert priced.values("shop.priced") == [["a", 20, "Euro"], ["b", 200, "Yen"]]

    priced.compact("ext.rates")
    assert priced.run() == 0
    assert priced.did("shop.priced") == ("nothing new", "")

    priced.sql("INSERT INTO ext.orders VALUES ('c', 3, 'E')")
    priced.compact("ext.rates")
    assert priced.run() == 0
    assert priced.did("shop.priced") == ("incremental", "")
    assert priced.counts("shop.priced") == (1, 0, 0)
    priced.assert_exact("shop.priced")


def test_a_file_read_whole_rebuilds_where_its_content_changed_and_not_where_it_was_touched(
    priced: Shop,
) -> None:
    names = priced.root / "names.csv"
    os.utime(names, (1, 1))
    assert priced.run() == 0
    assert priced.did("shop.priced") == ("nothing new", "")
    names.write_text("currency,name\nE,Euros\nY,Yen\n")
    assert priced.run() == 0
    assert priced.did("shop.priced") == ("rebuild", "'names' changed")
    assert priced.counts("shop.priced") == (0, 1, 0)
    assert priced.values("shop.priced") == [["a", 10, "Euros"], ["b", 200, "Yen"]]


# --- two inputs by their groups -------------------------------------------------------------------

BALANCE = """\
  - name: balance
    sql: sql/balance.sql
    sources:
      sales: {table: ext.sales, read: affected, by: {day: day, shop: "upper(shop)"}}
      returns: {table: ext.returns, read: affected, by: {day: "date_sub(returned, 1)", shop: branch}}
    target:
      table: shop.balance
      key: [day, shop]
      partitions: [day]
      max_deleted: 100%
      columns:
        day: {type: date}
        shop: {type: string}
        sold: {type: bigint}
        returned: {type: bigint}
"""
BALANCE_SQL = merge(
    "SELECT coalesce(s.day, r.day) AS day, coalesce(s.shop, r.shop) AS shop,\n"
    "  coalesce(s.n, 0) AS sold, coalesce(r.n, 0) AS returned\n"
    "FROM (SELECT day, upper(shop) AS shop, sum(n) AS n FROM {{ source('sales') }}\n"
    "      GROUP BY day, upper(shop)) AS s\n"
    "FULL JOIN (SELECT date_sub(returned, 1) AS day, branch AS shop, sum(n) AS n\n"
    "           FROM {{ source('returns') }}\n"
    "           GROUP BY date_sub(returned, 1), branch) AS r ON s.day = r.day AND s.shop = r.shop",
    key="day shop",
)


def test_groups_are_the_union_over_both_inputs(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path, BALANCE, balance=BALANCE_SQL)
    shop.table(
        "ext.sales",
        {"day": "date", "shop": "string", "n": "bigint"},
        "(DATE'2024-01-01', 'a', 5), (DATE'2024-01-01', 'A', 1), (DATE'2024-01-01', 'b', 7),"
        " (DATE'2024-01-02', 'a', 2), (DATE'2024-01-03', 'c', 3)",
    )
    shop.table("ext.returns", {"returned": "date", "branch": "string", "n": "bigint"})
    assert shop.run() == 0, shop.faults()
    assert shop.did("shop.balance") == ("rebuild", "first run")
    assert len(shop.rows("shop.balance")) == 4

    shop.sql("INSERT INTO ext.returns VALUES (DATE'2024-01-02', 'A', 1)")
    assert shop.run() == 0, shop.faults()
    shop.assert_exact("shop.balance")

    steps = {
        # A group that sales has and this change of returns touches: its sales are read, too.
        "INSERT INTO ext.returns VALUES (DATE'2024-01-02', 'B', 4)": (0, 1, 0),
        # A group of returns alone.
        "INSERT INTO ext.returns VALUES (DATE'2024-01-10', 'D', 9)": (1, 0, 0),
        "INSERT INTO ext.sales VALUES (DATE'2024-01-09', 'd', 1)": (0, 1, 0),
        # A row that moves between groups, on either side.
        "UPDATE ext.sales SET shop = 'b' WHERE day = DATE'2024-01-02'": (1, 0, 1),
        "UPDATE ext.returns SET branch = 'A' WHERE branch = 'B'": (0, 2, 0),
        # A group that loses one side stays, and one that loses its only side goes.
        "DELETE FROM ext.sales WHERE shop = 'd'": (0, 1, 0),
        "DELETE FROM ext.sales WHERE shop = 'c'": (0, 0, 1),
    }
    for statement, counts in steps.items():
        shop.sql(statement)
        assert shop.run() == 0, (statement, shop.faults())
        assert shop.did("shop.balance") == ("incremental", ""), statement
        assert shop.counts("shop.balance") == counts, statement
        shop.assert_exact("shop.balance")

    # Both sides at once, and one of them loses all its rows.
    shop.sql("UPDATE ext.sales SET n = n + 1 WHERE day = DATE'2024-01-01'")
    shop.sql("DELETE FROM ext.returns WHERE true")
    assert shop.run() == 0, shop.faults()
    rows = shop.assert_exact("shop.balance")
    assert {row["returned"] for row in rows} == {0}
    assert len(rows) == len({(row["day"], row["shop"]) for row in rows}) == 3


# --- pins -----------------------------------------------------------------------------------------

COPIES = """\
  - name: first
    sql: sql/first.sql
    sources: {items: {table: ext.items, read: changes}}
    target: {table: shop.first, key: [id], columns: {id: {type: string}, n: {type: bigint}}}
  - name: second
    sql: sql/second.sql
    sources: {items: {table: ext.items, read: all}}
    target: {table: shop.second, key: [id], columns: {id: {type: string}, n: {type: bigint}}}
"""
COPY_SQL = merge("SELECT id, n FROM {{ source('items') }}")
ITEMS = {"id": "string", "n": "bigint"}


def test_models_of_one_run_read_a_table_in_one_state(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path, COPIES, first=COPY_SQL, second=COPY_SQL)
    shop.table("ext.items", ITEMS, "('a', 1)")
    others = iter(["INSERT INTO ext.items VALUES ('b', 2)", "UPDATE ext.items SET n = 9 WHERE id = 'a'"])

    def interfere(event: Event) -> None:
        """Another writer commits after the first model was published."""
        if (event.kind, event.name) == ("ok", "shop.first"):
            shop.sql(next(others))

    project = shop.project()
    for expected in ([["a", 1]], [["a", 1], ["b", 2]]):
        options = RunOptions(artifacts=shop.folder / "target")
        assert run(project, order(project), options, interfere, start_engine=shop.engine) == 0
        assert shop.values("shop.first") == shop.values("shop.second") == expected
    assert shop.run() == 0
    assert shop.values("shop.first") == shop.values("shop.second") == [["a", 9], ["b", 2]]


# --- models with a history ------------------------------------------------------------------------

ACCOUNTS = """\
  - name: accounts
    sql: sql/accounts.sql
    history: true
    sources: {bookings: {table: ext.bookings, read: changes}}
    target:
      table: shop.accounts
      key: [account]
      columns: {account: {type: string}, total: {type: bigint}, bookings: {type: bigint}, top: {type: bigint}}
"""
ACCOUNTS_SQL = merge(
    "SELECT account, amount AS total, 1L AS bookings, amount AS top, closes FROM {{ source('bookings') }}",
    key="account",
    clauses="WHEN MATCHED AND s.closes THEN DELETE\n"
    "WHEN MATCHED AND s.top > t.top THEN UPDATE SET total = t.total + s.total, bookings = t.bookings + 1,"
    " top = s.top\n"
    "WHEN MATCHED THEN UPDATE SET total = t.total + s.total, bookings = t.bookings + 1\n"
    "WHEN NOT MATCHED AND NOT s.closes THEN INSERT (account, total, bookings, top)"
    " VALUES (s.account, s.total, s.bookings, s.top)\n",
)


@pytest.fixture
def accounts(spark: SparkSession, tmp_path: Path) -> Shop:
    shop = Shop(spark, tmp_path, ACCOUNTS, accounts=ACCOUNTS_SQL)
    shop.table(
        "ext.bookings",
        {"account": "string", "amount": "bigint", "closes": "boolean"},
        "('a', 10, false), ('b', 20, false)",
    )
    assert shop.run() == 0, shop.faults()
    return shop


def test_a_model_with_history_adds_to_what_it_holds(accounts: Shop) -> None:
    assert accounts.values("shop.accounts") == [["a", 10, 1, 10], ["b", 20, 1, 20]]
    accounts.sql("INSERT INTO ext.bookings VALUES ('a', 5, false), ('b', 30, false), ('c', 1, true)")
    assert accounts.run() == 0, accounts.faults()
    assert accounts.values("shop.accounts") == [["a", 15, 2, 10], ["b", 50, 2, 30]]
    assert accounts.run() == 0
    assert accounts.kinds() == {"shop.accounts": "nothing"}, "nothing is added twice"
    accounts.compact("ext.bookings")
    assert accounts.run() == 0
    assert accounts.kinds() == {"shop.accounts": "nothing"}
    accounts.sql("INSERT INTO ext.bookings VALUES ('a', 0, true), ('b', 1, false)")
    assert accounts.run() == 0, accounts.faults()
    assert accounts.values("shop.accounts") == [["b", 51, 3, 30]]
    assert accounts.counts("shop.accounts") == (0, 1, 1)


def test_rows_that_leave_the_input_do_not_take_history_with_them(accounts: Shop) -> None:
    accounts.sql("DELETE FROM ext.bookings WHERE account = 'a'")
    assert accounts.run() == 0, accounts.faults()
    assert accounts.values("shop.accounts") == [["a", 10, 1, 10], ["b", 20, 1, 20]]


def test_a_model_with_history_is_never_rebuilt(accounts: Shop) -> None:
    assert accounts.run(full_refresh=True) == 2
    (fault,) = accounts.faults()
    assert fault.code == "not-rebuildable"
    assert "history: true" in fault.why

    accounts.write(ACCOUNTS, accounts=ACCOUNTS_SQL.replace("t.bookings + 1", "t.bookings + 100"))
    assert accounts.run() == 0
    assert accounts.kinds() == {"shop.accounts": "nothing"}, "an edit holds from the next rows on"
    accounts.sql("INSERT INTO ext.bookings VALUES ('a', 1, false)")
    assert accounts.run() == 0, accounts.faults()
    assert accounts.values("shop.accounts") == [["a", 11, 101, 10], ["b", 20, 1, 20]]


def test_history_cannot_go_on_from_an_expired_snapshot_and_says_so(accounts: Shop) -> None:
    consumed = accounts.head("ext.bookings")
    assert consumed is not None
    before = accounts.head("shop.accounts")
    accounts.sql("INSERT INTO ext.bookings VALUES ('a', 1, false)")
    accounts.expire("ext.bookings", consumed.id)
    assert accounts.run() == 1
    (fault,) = accounts.faults()
    assert fault.code == "snapshot-expired"
    assert str(consumed.id) in fault.what
    assert accounts.head("shop.accounts") == before


# --- on_change: keep ------------------------------------------------------------------------------

KEPT = """\
  - name: kept
    sql: sql/kept.sql
    on_change: keep
    sources: {items: {table: ext.items, read: %s}}
    target: {table: shop.kept, key: [id], columns: {id: {type: string}, n: {type: bigint}}}
"""


def test_after_an_edit_with_keep_old_rows_stay_and_new_rows_come_by_the_new_query(
    spark: SparkSession, tmp_path: Path
) -> None:
    shop = Shop(spark, tmp_path, KEPT % "changes", kept=COPY_SQL)
    shop.table("ext.items", ITEMS, "('a', 1), ('b', 2), ('c', 3)")
    assert shop.run() == 0, shop.faults()
    shop.write(KEPT % "changes", kept=merge("SELECT id, n * 100 AS n FROM {{ source('items') }}"))
    assert shop.run() == 0
    assert shop.kinds() == {"shop.kept": "nothing"}
    shop.sql("INSERT INTO ext.items VALUES ('d', 4)")
    shop.sql("UPDATE ext.items SET n = 5 WHERE id = 'b'")
    shop.sql("DELETE FROM ext.items WHERE id = 'c'")
    assert shop.run() == 0, shop.faults()
    assert shop.did("shop.kept") == ("incremental", "")
    assert shop.values("shop.kept") == [["a", 1], ["b", 500], ["d", 400]]


# --- an input that is upgraded --------------------------------------------------------------------


def test_a_target_built_from_before_an_upgrade_to_v3_is_rebuilt(spark: SparkSession, tmp_path: Path) -> None:
    """Rows of a v2 snapshot have no row ids, so what changed since is unknown."""
    shop = Shop(spark, tmp_path, KEPT % "all", kept=COPY_SQL)
    shop.table("ext.items", ITEMS, "('a', 1), ('b', 2)", version=2)
    assert shop.run() == 0, shop.faults()
    shop.sql("ALTER TABLE ext.items SET TBLPROPERTIES ('format-version' = '3')")
    shop.sql("INSERT INTO ext.items VALUES ('c', 3)")
    shop.write(KEPT % "changes", kept=COPY_SQL)
    assert shop.run() == 0, shop.faults()
    mode, reason = shop.did("shop.kept")
    assert mode == "rebuild"
    assert "ext.items" in reason
    assert shop.values("shop.kept") == [["a", 1], ["b", 2], ["c", 3]]
    # From here on it is incremental.
    shop.sql("UPDATE ext.items SET n = 9 WHERE id = 'a'")
    shop.sql("DELETE FROM ext.items WHERE id = 'b'")
    assert shop.run() == 0, shop.faults()
    assert shop.did("shop.kept") == ("incremental", "")
    assert shop.counts("shop.kept") == (0, 1, 1)
    shop.assert_exact("shop.kept")


def test_an_upgraded_input_gives_right_rows(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(spark, tmp_path, KEPT % "all", kept=COPY_SQL)
    shop.table("ext.items", ITEMS, "('a', 1), ('b', 2)", version=2)
    assert shop.run() == 0, shop.faults()
    shop.sql("ALTER TABLE ext.items SET TBLPROPERTIES ('format-version' = '3')")
    shop.write(KEPT % "changes", kept=COPY_SQL)
    shop.sql("UPDATE ext.items SET n = 9 WHERE id = 'a'")
    shop.sql("INSERT INTO ext.items VALUES ('c', 3)")
    shop.sql("DELETE FROM ext.items WHERE id = 'b'")
    assert shop.run() == 0, shop.faults()
    assert shop.values("shop.kept") == [["a", 9], ["c", 3]]
    shop.assert_exact("shop.kept")
