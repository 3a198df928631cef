"""Generates inputs of any size for bench/lookup.yaml: orders and their items, deterministic by seed.

  generate_lookup.py --orders 1000000 --directory DIR [--seed 1] [--parquet]

Writes orders.csv (8 columns) and items.csv (7 columns, 0 to 9 items per order), rows shuffled. About 8 % of the orders lie
after the last date that the script keeps. With --parquet, orders.parquet and items.parquet with the same rows and typed columns
(timestamps in milliseconds, decimal(18,2)) are written beside them with snappy and the row groups that DuckDB writes.
"""

import argparse
import datetime
import os
import random

STATUSES = ("invoiced", "approved", "shipped", "delivered")


def write_parquet(directory):
    import duckdb
    db = duckdb.connect()
    money = {"price": "decimal(18,2)", "freight_value": "decimal(18,2)", "order_item_id": "bigint"}
    for name in ("orders", "items"):
        path = os.path.join(directory, name)
        header = open(path + ".csv").readline().strip().split(",")
        types = {column: money.get(column, "timestamp_ms" if column.endswith(("_at", "_date", "_timestamp")) else "varchar") for column in header}
        db.execute(f"copy (select * from read_csv('{path}.csv', header=true, columns={types})) to '{path}.parquet' (format parquet, codec snappy)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parquet", action="store_true")
    options = parser.parse_args()
    generator = random.Random(options.seed)
    bits, uniform = generator.getrandbits, generator.random
    first = datetime.datetime(2016, 1, 1)

    # Texts of moments are cut from precomputed days and times of day.
    days = [(first + datetime.timedelta(days=d)).strftime("%Y-%m-%d ") for d in range(1300)]
    clock = ["%02d:%02d:%02d" % (s // 3600, s // 60 % 60, s % 60) for s in range(86400)]

    def moment(second):
        return days[second // 86400] + clock[second % 86400]

    catalogue = []
    for _ in range(200):
        seller = "%032x" % bits(128)
        for _ in range(generator.randint(1, 100)):
            price, freight = 500 + int(uniform() * 29500), 200 + int(uniform() * 4800)
            catalogue.append((f"{bits(128):032x},{seller}", "%d.%02d,%d.%02d" % (*divmod(price, 100), *divmod(freight, 100))))

    orders, items = [], []
    for _ in range(options.orders):
        order = "%032x" % bits(128)
        bought = int(uniform() * 103_000_000)
        stages = 0
        while stages < 3 and uniform() < 0.98:
            stages += 1
        times = [bought + int(uniform() * 10000) * (i + 1) for i in range(stages)]
        due = bought + int(uniform() * 100000)
        cells = [moment(t) for t in times] + [""] * (3 - stages)
        orders.append(f"{order},{bits(128):032x},{STATUSES[stages]},{moment(bought)},{cells[0]},{cells[1]},{cells[2]},{moment(due)}\n")
        for number in range(1, generator.randint(0, 9) + 1 if uniform() < 0.9 else 1):
            product, money = catalogue[int(uniform() * len(catalogue))]
            items.append(f"{order},{number},{product},{moment(due + int(uniform() * 100000))},{money}\n")
    generator.shuffle(orders)
    generator.shuffle(items)
    os.makedirs(options.directory, exist_ok=True)
    with open(os.path.join(options.directory, "orders.csv"), "w", newline="") as file:
        file.write("order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,order_delivered_carrier_date,"
                   "order_delivered_customer_date,order_estimated_delivery_date\n")
        file.writelines(orders)
    with open(os.path.join(options.directory, "items.csv"), "w", newline="") as file:
        file.write("order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value\n")
        file.writelines(items)
    if options.parquet:
        write_parquet(options.directory)
    print(f"orders={len(orders)} items={len(items)}")


if __name__ == "__main__":
    main()
