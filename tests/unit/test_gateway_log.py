"""A gateway's log: one line for each failure, few in a second, none forgotten in the count."""

from trickles.gateway.log import FailureLog


class Written:
    """A log and its clock."""

    def __init__(self, most: int) -> None:
        self.lines: list[str] = []
        self.now = 1_000_000_000.25
        self.log = FailureLog(self.lines.append, clock=lambda: self.now, most=most)

    def fail(self, count: int) -> None:
        for number in range(count):
            self.log.failure(f"192.0.2.1:{number}", "no replica answers")

    def taken(self) -> list[str]:
        lines, self.lines[:] = list(self.lines), []
        return lines


def test_a_failure_is_one_line_with_time_client_and_reason() -> None:
    written = Written(most=3)
    written.fail(1)
    assert written.taken() == ["2001-09-09T01:46:40Z 192.0.2.1:0: no replica answers\n"]


def test_a_flood_is_counted() -> None:
    written = Written(most=2)
    written.fail(5)
    assert [line.partition(" ")[2] for line in written.taken()] == [
        "192.0.2.1:0: no replica answers\n",
        "192.0.2.1:1: no replica answers\n",
    ]
    written.now += 1
    written.fail(1)
    assert [line.partition(" ")[2] for line in written.taken()] == [
        "3 more failures\n",
        "192.0.2.1:0: no replica answers\n",
    ]


def test_what_was_left_out_is_told_though_nothing_follows() -> None:
    written = Written(most=1)
    written.fail(3)
    written.taken()
    written.log.flush()
    written.log.flush()
    assert written.taken() == ["2001-09-09T01:46:40Z 2 more failures\n"]


def test_a_reason_cannot_forge_a_line() -> None:
    written = Written(most=1)
    written.log.failure("192.0.2.1:1", "gone\n2001-09-09T01:46:40Z 192.0.2.9:9: all is well\x1b[2J")
    assert written.taken() == [
        r"2001-09-09T01:46:40Z 192.0.2.1:1: gone\n2001-09-09T01:46:40Z 192.0.2.9:9: all is well\x1b[2J" + "\n"
    ]
