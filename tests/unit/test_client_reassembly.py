"""Bytes put back in order: what passes through, what is dropped, what is kept."""

from trickles.client.reassembly import Reassembly


def test_pieces_in_order_pass_through_uncopied() -> None:
    first, second = b"abc", bytearray(b"defg")
    output = Reassembly()
    assert (output.add(0, first), output.add(3, second)) == (3, 4)
    taken = output.take()
    assert taken[0] is first
    assert taken[1] is second
    assert output.take() == []


def test_a_piece_that_came_before_counts_for_nothing() -> None:
    output = Reassembly()
    output.add(0, b"abcdef")
    assert output.add(0, b"abcdef") == output.add(2, b"cd") == output.add(6, b"") == 0
    output.add(8, b"ij")
    assert output.add(8, b"ij") == 0
    assert b"".join(output.take()) == b"abcdef"


def test_the_first_to_come_wins_and_only_the_rest_of_a_later_piece_is_new() -> None:
    output = Reassembly()
    output.add(2, b"CD")
    assert output.add(0, b"abcdef") == 4
    assert b"".join(output.take()) == b"abCDef"
    assert output.next_offset == 6


def test_a_piece_over_the_edge_brings_what_lies_beyond_it() -> None:
    output = Reassembly()
    output.add(0, b"abc")
    output.add(10, b"k")
    assert output.add(1, b"bcdef") == 3
    assert (output.next_offset, output.missing(0, 12)) == (6, [(6, 10), (11, 12)])
