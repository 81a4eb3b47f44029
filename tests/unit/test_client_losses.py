"""When a hole counts as a loss: by time where packets overtake each other, by count where they do not."""

from tests.support.inside import parts
from tests.support.net import HOME, Net, fleet
from tests.support.toys import File, body
from trickles.client.losses import PERSISTENCE
from trickles.limits import MILLISECOND

CONTENT = body(120_000)


def net(*, loss: float = 0.0, shuffle_us: int = 0, seed: int = 0) -> Net:
    """A client of one replica, at the end of a download."""
    made = Net(fleet(File(CONTENT), 1), config=HOME, loss=loss, shuffle_us=shuffle_us, seed=seed)
    assert made.run() == CONTENT
    return made


def test_packets_that_overtake_each_other_are_not_lost() -> None:
    shuffled = [net(shuffle_us=2 * MILLISECOND, seed=seed).client.statistics() for seed in range(3)]
    assert [each.get("lost", 0) for each in shuffled] == [0] * 3


def test_the_longest_delay_is_tolerated_until_losses_were_true_for_long_enough() -> None:
    late = net(shuffle_us=2 * MILLISECOND)
    losses = parts(late.client).losses
    assert losses.by_time == PERSISTENCE
    assert losses._lateness > 0
    for turn in range(PERSISTENCE):
        losses._count(1, late.now + turn * 100 * MILLISECOND)
    assert (losses.by_time, losses._lateness) == (0, 0)


def test_losses_in_order_are_true() -> None:
    lossy = net(loss=0.08)
    assert parts(lossy.client).losses.by_time < PERSISTENCE
    assert "spurious_losses" not in lossy.client.statistics()
