"""A visit to Radicale by `caldav`: a calendar, events, a search by time, changes."""

import datetime as dt
from pathlib import Path

import caldav

from benchmarks.applications.visiting import User

START = dt.datetime(2026, 5, 4, 10, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
EVENTS = 3


def effects(data: Path) -> dict[str, int]:
    """Events in the folders of calendars."""
    return {path.stem: 1 for path in (data / "collections").rglob("*.ics")}


def visit(user: User) -> None:
    with caldav.DAVClient(url=user.url, username=user.name, password="any", timeout=30) as client:
        with user.step("make a calendar", requests=3):
            calendar = client.principal().make_calendar(name=f"calendar of {user.name}", cal_id="work")
        for number in range(EVENTS):
            uid = f"{user.name}-{number}"
            start = START + number * DAY
            with user.step("add", effect=uid):
                calendar.save_event(uid=uid, dtstart=start, dtend=start + HOUR, summary=f"meeting {number}")
        with user.step("search"):
            found = calendar.search(start=START + DAY, end=START + 3 * DAY, event=True, expand=False)
            user.shows("search", sorted(str(each.icalendar_component["SUMMARY"]) for each in found))
        with user.step("change", requests=2):
            event = calendar.event_by_uid(f"{user.name}-0")
            event.icalendar_component["SUMMARY"] = "moved"
            event.save()
        with user.step("list"):
            user.shows("list", sorted(str(each.icalendar_component["SUMMARY"]) for each in calendar.events()))
