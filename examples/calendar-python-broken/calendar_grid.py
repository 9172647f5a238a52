"""Prints a month as a grid."""

import datetime


def days_in_month(year, month):
    """How many days the month has."""
    first = datetime.date(year, month, 1)
    next_month = (first + datetime.timedelta(days=31)).replace(day=1)
    return (next_month - first).days


def weeks(year, month):
    """The month's days in weeks of seven, None where a week belongs to another month."""
    offset = datetime.date(year, month, 1).weekday()
    cells = [None] * offset + list(range(1, days_in_month(year, month) + 1)
    while len(cells) % 7:
        cells.append(None)
    return [cells[i:i + 7] for i in range(0, len(cells), 7)]


def render(year, month):
    lines = ["Mo Tu We Th Fr Sa Su"]
    for week in weeks(year, month):
        lines.append(" ".join("  " if day is None else f"{day:2}" for day in week))
    return "\n".join(lines)


if __name__ == "__main__":
    today = datetime.date.today()
    print(render(today.year, today.month))
