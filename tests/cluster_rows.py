"""Tables published as CQL rows; part of cluster_test.py."""

import random
import tempfile
import time

from cluster_support import ROWS_LAYOUT, Daemons, Lookup, history, wait_until
from integration_support import ROOT, expect


def wide_rows(client, keyspace, run=1):
    """Table -> its rows, sorted, of all tables that a run published."""
    tables = [name.decode() for name, in client.rows(f"SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{keyspace}'")]
    return {table: sorted(client.rows(f"SELECT * FROM {keyspace}.{table}")) for table in tables if table.endswith(f"_{run:05}")}


def described(client, keyspace, table):
    where = f"WHERE keyspace_name = '{keyspace}' AND table_name = '{table}'"
    return (client.rows(f"SELECT comment, gc_grace_seconds, default_time_to_live FROM system_schema.tables {where}"),
            sorted(client.rows(f"SELECT column_name, kind, position, type, clustering_order FROM system_schema.columns {where}")))


def test_rows_layout(world):
    """Tables as get-table-cql says, with the rows of the run; the same ones when daemons are killed while they publish."""
    random.seed(9)
    with tempfile.TemporaryDirectory() as temp, world.cluster.cassandra.nodes[0].client() as client:
        lookup = Lookup(world, temp)
        keyspace = lookup.keyspace()
        with Daemons(world.cluster, world.capi, 2, environment=ROWS_LAYOUT) as daemons:
            lookup.check(*lookup.follow(keyspace))
            published = wide_rows(client, keyspace)
            for node, table in (("read_orders", "orders"), ("read_items", "items"), ("items_inner", "items_inner"), ("items_left", "items_left"),
                                ("totals_inner", "totals_inner"), ("totals_left", "totals_left")):
                expect(len(published[f"{table}_00001"]) == lookup.counts[node], f"{table} has {len(published[f'{table}_00001'])} rows")
            expect(len(published["idx_items_order_00001"]) == lookup.counts["read_items"], "entries of items")
            expect(len(published["idx_orders_to_check_uniq_00001"]) == lookup.counts["read_orders"], "entries of orders")
            expect(len(published) == 8, f"tables {sorted(published)}")

            golden = f"{keyspace}_ddl"
            replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
            client.rows(f"CREATE KEYSPACE {golden} WITH REPLICATION = {replication}")
            process = world.capi_on_cluster("get-table-cql", str(ROOT / "bench/lookup.yaml"), *lookup.arguments, "--keyspace", golden,
                                            "--start-nodes", "read_orders,read_items")
            expect(process.returncode == 0, process.stderr)
            for statement in process.stdout.splitlines():
                if statement.startswith("CREATE TABLE"):
                    client.rows(statement)
            expect(wide_rows(client, golden).keys() == published.keys(), f"tables {sorted(wide_rows(client, golden))}")
            for table in published:
                expect(described(client, keyspace, table) == described(client, golden, table), f"{table} is not as get-table-cql says")
            client.rows(f"DROP KEYSPACE {golden}")

            kills = 0
            while kills < (40 if world.full else 6):
                keyspace = lookup.keyspace()
                lookup.start(keyspace)
                for _ in range(2):
                    time.sleep(random.uniform(0.3, 2))
                    random.choice(daemons.alive()).kill()
                    kills += 1
                    daemons.add()
                lookup.check(*lookup.follow(keyspace))
                expect(wide_rows(client, keyspace) == published, f"rows differ after {kills} kills")


def test_other_table_in_the_way(world):
    """Somebody else's table of that name: the run waits, and goes on when it is gone."""
    with tempfile.TemporaryDirectory() as temp, world.cluster.cassandra.nodes[0].client() as client:
        lookup = Lookup(world, temp, 500, 2)
        keyspace = lookup.keyspace()
        lookup.start(keyspace)
        client.rows(f"CREATE TABLE {keyspace}.orders_00001 (a int PRIMARY KEY)")
        with Daemons(world.cluster, world.capi, 1, environment=ROWS_LAYOUT) as daemons:
            wait_until(lambda: "with other columns" in daemons.daemons[0].text(), 60, "the daemon to complain")
            expect(history(world, keyspace)[0]["status"] == "start", "the run ended")
            client.rows(f"DROP TABLE {keyspace}.orders_00001")
            lookup.check(*lookup.follow(keyspace))
            expect(len(wide_rows(client, keyspace)["orders_00001"]) == lookup.counts["read_orders"], "rows of orders")
