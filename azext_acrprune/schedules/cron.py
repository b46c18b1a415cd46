"""The five fields of a timer of ACR Tasks, in UTC: minute, hour, day of the month, month, day of the week."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES = ('minute', 'hour', 'day of the month', 'month', 'day of the week')
_MONTHS = {'jan': 1, 'feb': 2, 'mar': 3, 'apr': 4, 'may': 5, 'jun': 6}
_MONTHS |= {'jul': 7, 'aug': 8, 'sep': 9, 'oct': 10, 'nov': 11, 'dec': 12}
_DAYS = {'sun': 0, 'mon': 1, 'tue': 2, 'wed': 3, 'thu': 4, 'fri': 5, 'sat': 6}
_WORDS: tuple[dict[str, int], ...] = ({}, {}, {}, _MONTHS, _DAYS)
_PART = re.compile(r'(?:\*|(\w+)(?:-(\w+))?)(?:/(\d{1,2}))?')
_LONGEST_WAIT_DAYS = 366 * 8
"""The 29th of February comes after eight years at the latest."""


class Cron:
    """When a timer fires. Raises ValueError for a text that is no timer, or one that never fires."""

    def __init__(self, text: str) -> None:
        fields = text.split()
        if len(fields) != len(_RANGES):
            raise ValueError(f"'{text}' does not have the five fields of a timer: {', '.join(_NAMES)}")
        self._fields = [_values(field, place) for place, field in enumerate(fields)]
        self._any_day, self._any_weekday = (fields[place].startswith('*') for place in (2, 4))
        self.text = ' '.join(fields)
        if self.after(datetime(2024, 1, 1)) is None:
            raise ValueError(f"'{text}' never comes")

    def after(self, moment: datetime) -> datetime | None:
        """The first time after a moment; both in UTC."""
        minutes, hours, _, months, _ = self._fields
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(_LONGEST_WAIT_DAYS):
            if day.month in months and self._is_day(day):
                times = (day.replace(hour=hour, minute=minute) for hour in sorted(hours) for minute in sorted(minutes))
                found = next((time for time in times if time > moment), None)
                if found:
                    return found
            day += timedelta(days=1)
        return None

    def _is_day(self, day: datetime) -> bool:
        """Where both fields of days say something, one of them is enough, as in every cron."""
        is_day, is_weekday = day.day in self._fields[2], day.isoweekday() % 7 in self._fields[4]
        return is_day and is_weekday if self._any_day or self._any_weekday else is_day or is_weekday


def _values(field: str, place: int) -> set[int]:
    """The numbers that a field means."""
    found: set[int] = set()
    for part in field.lower().split(','):
        match = _PART.fullmatch(part)
        if not match:
            raise ValueError(f"'{field}' is no {_NAMES[place]}")
        low, high = _RANGES[place]
        first = low if match[1] is None else _number(match[1], place)
        last = _number(match[2], place) if match[2] else high if match[1] is None or match[3] else first
        step = int(match[3] or 1)
        if first > last or not step:
            raise ValueError(f"'{field}' is no {_NAMES[place]}")
        found.update(range(first, last + 1, step))
    return found


def _number(text: str, place: int) -> int:
    low, high = _RANGES[place]
    value = int(text) if text.isdecimal() else _WORDS[place].get(text, -1)
    if not low <= value <= high:
        raise ValueError(f"'{text}' is no {_NAMES[place]}: it is from {low} to {high}")
    return value
