"""
def scal(x): this is text
"""


def scale(
    value: int,
    factor: float = 1.0,  # how much, at least
) -> float:
    return value * factor
