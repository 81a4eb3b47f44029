"""Places by host: who has most gives one away, nobody takes turns, and each step costs the same."""

from random import Random

import pytest

from tests.fuzz.cheats.meter import measured
from trickles.shares import NoRoom, Shares, customer


def test_while_there_is_room_nobody_leaves() -> None:
    shares: Shares[int] = Shares(3)
    for number in range(3):
        assert shares.in_the_way("192.0.2.1") is None
        shares.add("192.0.2.1", number)
    assert len(shares) == 3


def test_the_oldest_of_the_host_with_most_makes_room_for_one_with_less() -> None:
    shares: Shares[int] = Shares(4)
    for number in range(4):
        shares.add("192.0.2.1", number)
    shares.remove(0)
    shares.add("192.0.2.1", 0)
    assert shares.in_the_way("192.0.2.2") == 1
    shares.remove(1)
    shares.add("192.0.2.2", 10)
    with pytest.raises(NoRoom):
        shares.in_the_way("192.0.2.1")
    shares.remove(2)
    shares.add("192.0.2.2", 11)
    for host in ("192.0.2.1", "192.0.2.2"):  # two and two: nobody gives way
        with pytest.raises(NoRoom):
            shares.in_the_way(host)


def test_where_all_have_one_there_is_no_room() -> None:
    shares: Shares[int] = Shares(10)
    for number in range(10):
        shares.add(f"192.0.2.{number}", number)
    with pytest.raises(NoRoom):
        shares.in_the_way("198.51.100.1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("not an address:", "not an address:", True),
    ],
)
def test_a_customer_is_an_address_or_a_64(one: str, other: str, same: bool) -> None:
    assert (customer(one) == customer(other)) is same


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_a_plain_list(seed: int) -> None:
    chance, shares, plain = Random(seed), Shares[int](20), list[tuple[str, int]]()
    for number in range(1_000):
        host = str(int(chance.expovariate(0.5)))
        counts = {each: sum(each == other for other, _ in plain) for each, _ in plain}
        most = max(counts.values(), default=0)
        try:
            leaves = shares.in_the_way(host)
        except NoRoom:
            assert len(plain) == 20
            assert most < counts.get(host, 0) + 2
            leaves = chance.choice(plain)[1]
        else:
            assert (leaves is None) == (len(plain) < 20)
            if leaves is not None:
                owner = {item: each for each, item in plain}[leaves]
                assert counts[owner] == most
                assert leaves == next(item for each, item in plain if each == owner)
        if leaves is not None:
            shares.remove(leaves)
            shares.remove(leaves)
            plain = [each for each in plain if each[1] != leaves]
        shares.add(host, number)
        plain.append((host, number))
        assert len(shares) == len(plain)
    shares.clear()
    assert (len(shares), shares.in_the_way("1")) == (0, None)


def test_a_step_costs_the_same_with_many_hosts() -> None:
    shares: Shares[int] = Shares(4_096)
    for number in range(4_096):
        shares.add(f"198.18.{number % 1_365 >> 8}.{number % 1_365 & 255}", number)

    assert shares.in_the_way("192.0.2.1") is not None  # an address is read once

    def step() -> None:
        leaves = shares.in_the_way("192.0.2.1")
        assert leaves is not None
        shares.remove(leaves)
        shares.add("192.0.2.1", -1)

    assert measured(step, most_calls=1_000, memory=False).calls < 40
