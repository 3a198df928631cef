"""Returns of an account per period and sector, for portfolio.yaml. Standard library only.

Inside a quarter the return is Modified Dietz: the gain over the capital at the beginning plus the flows, each weighted with the share of
the quarter for which it was there. Longer periods link the quarters, so that the size of the flows does not matter (time-weighted);
the whole time is annualised.
"""
import collections
import datetime
import json

ALL = "All"
DAYS_OF_YEAR = 365.25


def performance(transactions, holdings):
    """JSON lists [date, sector, amount] to a JSON map period -> sector -> figures; periods are 2021Q1, 2021 and all."""
    values = collections.defaultdict(float)
    ends = set()
    for text, sector, amount in json.loads(holdings):
        day = datetime.date.fromisoformat(text)
        ends.add(day)
        for key in (sector, ALL):
            values[day, key] += amount
    flows = collections.defaultdict(list)
    for text, sector, amount in json.loads(transactions):
        for key in (sector, ALL):
            flows[key].append((datetime.date.fromisoformat(text), amount))
    result = collections.defaultdict(dict)
    ends = sorted(ends)
    for sector in sorted({key for _, key in values} | set(flows)):
        quarters = []
        for begin, end in zip(ends, ends[1:]):
            gain = quarter(begin, end, values[begin, sector], values[end, sector], [flow for flow in flows[sector] if begin < flow[0] <= end])
            if gain is not None:
                quarters.append((end, (end - begin).days, gain))
                result[f"{end.year}Q{(end.month + 2) // 3}"][sector] = figures([quarters[-1]])
        for year in sorted({end.year for end, _, _ in quarters}):
            result[str(year)][sector] = figures([item for item in quarters if item[0].year == year])
        if quarters:
            result["all"][sector] = figures(quarters)
    return json.dumps(result)


def quarter(begin, end, value_at_begin, value_at_end, flows):
    """Modified Dietz return, None if there was no capital."""
    days = (end - begin).days
    flow = sum(amount for _, amount in flows)
    capital = value_at_begin + sum(amount * (end - day).days / days for day, amount in flows)
    return (value_at_end - value_at_begin - flow) / capital if capital > 0.005 else None


def figures(quarters):
    growth = 1.0
    for _, _, gain in quarters:
        growth *= 1 + gain
    days = sum(days for _, days, _ in quarters)
    return {"return": growth - 1, "annualised": max(growth, 0.0) ** (DAYS_OF_YEAR / days) - 1, "days": days}


def part(performances, period):
    """The figures of one period, as JSON."""
    return json.dumps(json.loads(performances)[period])


def figure(sectors, sector, name):
    return json.loads(sectors)[sector][name]
