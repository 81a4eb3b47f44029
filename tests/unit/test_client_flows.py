"""Flows: which one is used, and for how long others are tried quickly."""

from trickles.client.flows import MOST_HURRIED, Flows


def test_each_change_gives_a_new_number_and_an_answer_decides() -> None:
    flows = Flows()
    assert (flows.current, flows.in_doubt) == (0, False)
    flows.change()
    flows.change()
    assert (flows.current, flows.in_doubt) == (2, True)
    flows.settle(1)
    assert (flows.current, flows.in_doubt) == (1, False)
    flows.change()
    assert flows.current == 3  # 2 led nowhere


def test_haste_ends_until_something_answers() -> None:
    flows = Flows()
    for _ in range(MOST_HURRIED):
        assert flows.may_hurry
        flows.change()
    assert not flows.may_hurry
    flows.settle(2)
    assert flows.may_hurry
