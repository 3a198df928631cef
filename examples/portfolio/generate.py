"""Writes accounts.csv, transactions.csv and holdings.csv of made-up accounts: the same for the same arguments.

  python3 generate.py FOLDER [--accounts 100] [--seed 1]

Three years; holdings at the end of every quarter (and of the last one before), valued at the price of that day. Transactions carry the
signed quantity and the price of their day.
"""

import argparse
import csv
import datetime
import math
import pathlib
import random

FIRST = datetime.date(2020, 12, 31)
QUARTER_ENDS = [FIRST] + [datetime.date(year, month, day) for year in (2021, 2022, 2023) for month, day in ((3, 31), (6, 30), (9, 30), (12, 31))]
SECTORS = {
    "Energy": ["OILX", "WIND", "COAL"],
    "Finance": ["BANK", "LEND", "INSR"],
    "Health": ["PILL", "GENE", "CARE", "BONE"],
    "Industry": ["BOLT", "RAIL", "SHIP", "TOOL"],
    "Technology": ["CHIP", "CLOU", "CODE", "DATA", "NETW"],
    "Utilities": ["WATR", "GRID"],
}
SECTOR_OF = {ticker: sector for sector, tickers in SECTORS.items() for ticker in tickers}


def make_prices(generator):
    """{ticker: [price in cents of each day]}, a random walk."""
    days = (QUARTER_ENDS[-1] - FIRST).days + 1
    prices = {}
    for ticker in SECTOR_OF:
        price, drift = generator.uniform(10, 300), generator.uniform(-0.0003, 0.0008)
        prices[ticker] = []
        for _ in range(days):
            prices[ticker].append(max(100, round(price * 100)))
            price *= math.exp(generator.gauss(drift, 0.015))
    return prices


def text(cents):
    return f"{cents // 100}.{cents % 100:02}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator = random.Random(options.seed)
    prices = make_prices(generator)
    options.folder.mkdir(parents=True, exist_ok=True)
    with open(options.folder / "accounts.csv", "w", newline="") as a, open(options.folder / "transactions.csv", "w", newline="") as t, \
            open(options.folder / "holdings.csv", "w", newline="") as h:
        accounts, transactions, holdings = (csv.writer(file, lineterminator="\n") for file in (a, t, h))
        accounts.writerow(["account_id", "owner"])
        transactions.writerow(["account_id", "date", "ticker", "sector", "quantity", "price"])
        holdings.writerow(["account_id", "date", "ticker", "sector", "quantity", "price"])
        for number in range(1, options.accounts + 1):
            account = f"A{number:05}"
            accounts.writerow([account, f"Owner {number}"])
            held = {ticker: generator.randrange(1, 200) for ticker in generator.sample(sorted(SECTOR_OF), generator.randrange(3, 15))}
            trading_days = sorted(generator.randrange(1, (QUARTER_ENDS[-1] - FIRST).days) for _ in range(generator.randrange(0, 250)))
            for end in QUARTER_ENDS:
                while trading_days and FIRST + datetime.timedelta(trading_days[0]) <= end:
                    day = trading_days.pop(0)
                    ticker = generator.choice(sorted(SECTOR_OF) if generator.random() < 0.3 else sorted(held) or ["CHIP"])
                    quantity = generator.randrange(-held.get(ticker, 0), 150) or 1
                    held[ticker] = held.get(ticker, 0) + quantity
                    if held[ticker] == 0:
                        del held[ticker]
                    transactions.writerow([account, FIRST + datetime.timedelta(day), ticker, SECTOR_OF[ticker], quantity, text(prices[ticker][day])])
                for ticker in sorted(held):
                    holdings.writerow([account, end, ticker, SECTOR_OF[ticker], held[ticker], text(prices[ticker][(end - FIRST).days])])


if __name__ == "__main__":
    main()
