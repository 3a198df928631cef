"""Formulas of flights.yaml. pyarrow is a package of the interpreter that runs them (CAPI_PYTHON)."""
import json
import math

import pyarrow
import pyarrow.compute

EARTH_RADIUS_MILES = 3958.7613


def great_circle_miles(lat1, lon1, lat2, lon2):
    """Shortest way over the globe between two places given in degrees."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    a = math.sin((phi2 - phi1) / 2) ** 2 + math.cos(phi1) * math.cos(phi2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_MILES * math.asin(math.sqrt(a))


def delay_profile(delays):
    """From a JSON list of the delays of a route to a JSON map of its figures."""
    values = pyarrow.array(json.loads(delays), pyarrow.int64())
    median, most, nearly_all = pyarrow.compute.quantile(values, [0.5, 0.9, 0.99]).to_pylist()
    early = pyarrow.compute.sum(pyarrow.compute.less(values, 0)).as_py()
    return json.dumps({"median": median, "p90": most, "p99": nearly_all, "early": early / len(values)})


def figure(profile, name):
    return json.loads(profile)[name]
