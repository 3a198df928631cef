"""The pipeline of bench/lookup.yaml as a user of DuckDB or Polars would write it, for side-by-side timing.

  peers.py duckdb|polars --in-dir DIR --out-dir DIR [--threads 2] [--any-order] [--format csv|parquet]

Intermediate tables are stored on disk, as capi stores them, and the output folder is synced before the clock stops. Prints "total SECONDS".
"""

import argparse
import os
import time

FIRST, LAST = "2016-01-01 00:00:00", "2018-12-31 23:23:59"
ITEM_ORDER = "order_id, item"
TOTAL_ORDER = "t.total desc, t.bought desc, t.order_id desc"


def run_duckdb(options):
    import duckdb
    path = f"{options.out_dir}/peer.duckdb"
    for name in (path, path + ".wal"):
        if os.path.exists(name):
            os.remove(name)
    db = duckdb.connect(path, config={"threads": options.threads, "preserve_insertion_order": not options.any_order})
    parquet = options.format == "parquet"
    orders = f"read_parquet('{options.in_dir}/orders.parquet')" if parquet else f"""read_csv('{options.in_dir}/orders.csv', header=true,
        columns={{'order_id': 'varchar', 'customer_id': 'varchar', 'order_status': 'varchar', 'order_purchase_timestamp': 'timestamp',
        'order_approved_at': 'timestamp', 'order_delivered_carrier_date': 'timestamp', 'order_delivered_customer_date': 'timestamp',
        'order_estimated_delivery_date': 'timestamp'}})"""
    db.execute(f"""create table orders as select order_id, order_status status, order_purchase_timestamp bought from {orders}
        where order_purchase_timestamp between '{FIRST}' and '{LAST}'""")
    items = f"read_parquet('{options.in_dir}/items.parquet')" if parquet else f"""read_csv('{options.in_dir}/items.csv', header=true,
        columns={{'order_id': 'varchar', 'order_item_id': 'bigint', 'product_id': 'varchar', 'seller_id': 'varchar',
        'shipping_limit_date': 'timestamp', 'price': 'decimal(18,2)', 'freight_value': 'decimal(18,2)'}})"""
    db.execute(f"""create table items as select order_id, order_item_id item, product_id, seller_id, shipping_limit_date shipping_limit,
        price + freight_value as value from {items}""")
    columns = "i.item, i.product_id, i.seller_id, i.shipping_limit, i.value"
    db.execute(f"create table items_inner as select o.order_id, o.bought, {columns} from orders o join items i using (order_id)")
    db.execute("""create table items_left as select o.order_id, o.bought, coalesce(i.item, 999) item, coalesce(i.product_id, '') product_id,
        coalesce(i.seller_id, '') seller_id, coalesce(i.shipping_limit, timestamp '1980-02-03 04:05:06.777') shipping_limit,
        coalesce(i.value, 999.00) as value from orders o left join items i using (order_id)""")
    aggregates = """coalesce(sum(i.value), 0)::decimal(18,2) total,
        coalesce((((2 * sum(i.value * 100)::bigint + count(*)) // (2 * count(*)))::decimal(18,2) / 100)::decimal(18,2), 0) average,
        coalesce(min(i.value), 0)::decimal(18,2) lowest, coalesce(max(i.value), 0)::decimal(18,2) highest,
        coalesce(min(i.product_id), '') first_product, coalesce(max(i.product_id), '') last_product, count(i.order_id) items"""
    for kind, join in (("inner", "join"), ("left", "left join")):
        db.execute(f"""create table totals_{kind} as select o.order_id, any_value(o.bought) bought, {aggregates}
            from orders o {join} items i using (order_id) group by o.order_id""")
    db.execute("checkpoint")
    for kind in ("inner", "left") if parquet else ():
        for name, columns, order in ((f"items_{kind}", "order_id, item, product_id, seller_id, shipping_limit, value", ITEM_ORDER),
                                     (f"totals_{kind}", "total, bought, order_id, average, lowest, highest, first_product, last_product, items",
                                      TOTAL_ORDER)):
            db.execute(f"copy (select {columns} from {name} t order by {order}) to '{options.out_dir}/{name}.parquet' (format parquet, codec snappy)")
    for kind in () if parquet else ("inner", "left"):
        db.execute(f"""copy (select order_id, lpad(item::varchar, 5, '0') item, nullif(product_id, '') product_id, nullif(seller_id, '') seller_id,
            strftime(shipping_limit, '%Y-%m-%d %H:%M:%S') shipping_limit, value from items_{kind} order by {ITEM_ORDER})
            to '{options.out_dir}/items_{kind}.csv' (header, delimiter ',')""")
        db.execute(f"""copy (select lpad(total::varchar, 10, ' ') total, strftime(bought, '%Y-%m-%d %H:%M:%S') bought, order_id, average, lowest, highest,
            nullif(first_product, '') first_product, nullif(last_product, '') last_product, items from totals_{kind} t order by {TOTAL_ORDER})
            to '{options.out_dir}/totals_{kind}.csv' (header, delimiter ',')""")
    db.close()


def run_polars(options):
    os.environ["POLARS_MAX_THREADS"] = str(options.threads)
    import polars as pl
    layout = "%Y-%m-%d %H:%M:%S"

    def moment(text):
        return pl.lit(text).str.to_datetime(layout, time_unit="ms")

    def kept(frame, name):
        frame.write_ipc(f"{options.out_dir}/{name}.arrow")
        return frame

    parquet = options.format == "parquet"

    def scan(name):
        if parquet:
            return pl.scan_parquet(f"{options.in_dir}/{name}.parquet")
        return pl.scan_csv(f"{options.in_dir}/{name}.csv", schema_overrides={"order_purchase_timestamp": pl.String})

    def datetime(name):
        return pl.col(name).dt.cast_time_unit("ms") if parquet else pl.col(name).str.to_datetime(layout, time_unit="ms")

    orders = kept(scan("orders").select(
        "order_id", status="order_status", bought=datetime("order_purchase_timestamp")).filter(
            pl.col("bought").is_between(moment(FIRST), moment(LAST))).collect(), "orders")

    def cents(name):
        return (pl.col(name).cast(pl.Float64) * 100).round().cast(pl.Int64)

    items = kept(scan("items").select(
        "order_id", item=pl.col("order_item_id").cast(pl.Int64), product_id="product_id", seller_id="seller_id",
        shipping_limit=datetime("shipping_limit_date"),
        value=cents("price") + cents("freight_value")).collect(), "items")
    left = orders.select("order_id", "bought")
    joined = {
        "inner": kept(left.join(items, on="order_id", how="inner"), "items_inner"),
        "left": kept(left.join(items, on="order_id", how="left").with_columns(
            pl.col("item").fill_null(999), pl.col("product_id").fill_null(""), pl.col("seller_id").fill_null(""),
            pl.col("shipping_limit").fill_null(moment("1980-02-03 04:05:06")), pl.col("value").fill_null(99900)), "items_left"),
    }
    totals = {}
    for how in ("inner", "left"):
        number = pl.col("items").cast(pl.Int64)
        totals[how] = kept(left.join(items, on="order_id", how=how).group_by("order_id").agg(
            pl.col("bought").first(), total=pl.col("value").sum(), items=pl.col("value").count(), lowest=pl.col("value").min(),
            highest=pl.col("value").max(), first_product=pl.col("product_id").min(), last_product=pl.col("product_id").max()).with_columns(
                average=pl.when(number > 0).then((2 * pl.col("total") + number) // (2 * number)).otherwise(0)).with_columns(
                    pl.col("lowest", "highest", "total").fill_null(0), pl.col("first_product", "last_product").fill_null("")), f"totals_{how}")

    def money(name):
        value = pl.col(name)
        return (value // 100).cast(pl.String) + "." + (value % 100).cast(pl.String).str.zfill(2)

    def decimal(name):
        return (pl.col(name) / 100).round(2).cast(pl.Decimal(18, 2))

    for how in ("inner", "left"):
        if parquet:
            joined[how].sort("order_id", "item").select("order_id", "item", "product_id", "seller_id", "shipping_limit", decimal("value")).write_parquet(
                f"{options.out_dir}/items_{how}.parquet", compression="snappy")
            totals[how].sort("total", "bought", "order_id", descending=True).select(
                decimal("total"), "bought", "order_id", *map(decimal, ("average", "lowest", "highest")), "first_product", "last_product",
                "items").write_parquet(f"{options.out_dir}/totals_{how}.parquet", compression="snappy")
            continue
        joined[how].sort("order_id", "item").select(
            "order_id", pl.col("item").cast(pl.String).str.zfill(5), "product_id", "seller_id", pl.col("shipping_limit").dt.strftime(layout),
            money("value").alias("value")).write_csv(f"{options.out_dir}/items_{how}.csv", quote_style="never")
        totals[how].sort("total", "bought", "order_id", descending=True).select(
            money("total").str.pad_start(10).alias("total"), pl.col("bought").dt.strftime(layout), "order_id",
            *[money(name).alias(name) for name in ("average", "lowest", "highest")], "first_product", "last_product", "items").write_csv(
                f"{options.out_dir}/totals_{how}.csv", quote_style="never")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("engine", choices=["duckdb", "polars"])
    parser.add_argument("--in-dir", required=True)
    parser.add_argument("--out-dir", required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--any-order", action="store_true", help="DuckDB: preserve_insertion_order=false")
    options = parser.parse_args()
    os.makedirs(options.out_dir, exist_ok=True)
    started = time.perf_counter()
    (run_duckdb if options.engine == "duckdb" else run_polars)(options)
    for name in os.listdir(options.out_dir):
        descriptor = os.open(os.path.join(options.out_dir, name), os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    print(f"total {time.perf_counter() - started:.3f}")


if __name__ == "__main__":
    main()
