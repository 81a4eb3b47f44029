"""Draws trickle.svg and tiling.svg, the pictures of how-it-works.md: `python docs/draw_trickle.py`.

The numbers in them come from the law in use. The pictures are plain SVG: no scripts, no fonts to load.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trickles.trickle import Episode

BLUE, ORANGE, GREEN, PINK, GREY, INK = "#0072b2", "#d55e00", "#009e73", "#b0508a", "#767676", "#222222"
CLIENT_X, A_X, B_X = 330, 640, 800
STEP = 17  # vertical distance of packets that arrive one after the other
FLIGHT = 44  # vertical distance that a datagram takes from end to end
EPISODE = Episode(0, 4, 65_536)


def page(width: int, height: int, title: str, parts: Iterator[str]) -> str:
    """A picture on white, so that it reads on dark pages too."""
    markers = "".join(
        f'<marker id="tip{color[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{color}"/></marker>'
        for color in (BLUE, ORANGE, GREEN, PINK, GREY)
    )
    frame = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    begin = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="13" role="img"><title>{title}</title>'
    )
    return "\n".join([begin, f"<defs>{markers}</defs>", frame, *parts, "</svg>"]) + "\n"


def text(
    x: float, y: float, words: str, *, color: str = INK, anchor: str = "start", size: int = 13, bold: bool = False
) -> str:
    """One line of text."""
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" fill="{color}" text-anchor="{anchor}" font-size="{size}"{weight}>{words}</text>'


def line(
    x1: float, y1: float, x2: float, y2: float, color: str, *, width: float = 1.5, tip: bool = True, dash: str = ""
) -> str:
    """A straight line, mostly an arrow."""
    end = f' marker-end="url(#tip{color[1:]})"' if tip else ""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{color}" stroke-width="{width}"{end}{dashes}/>'


def box(x: float, y: float, number: int, color: str, *, size: int = 22) -> str:
    """A packet with its number."""
    middle = x + size / 2
    shape = f'<rect x="{x}" y="{y}" width="{size - 2}" height="{size - 6}" rx="3" fill="{color}"/>'
    return shape + text(middle - 1, y + size - 10, str(number), color="#ffffff", anchor="middle", size=11)


def cross(x: float, y: float) -> str:
    """Here something died."""
    strokes = f"M{x - 8} {y - 8}L{x + 8} {y + 8}M{x + 8} {y - 8}L{x - 8} {y + 8}"
    return f'<path d="{strokes}" stroke="{INK}" stroke-width="3" fill="none"/>'


# the trickle


def responses(replica_x: int, y: int, first: int, stop: int, color: str, column: int) -> Iterator[str]:
    """Packets [first, stop) leave a replica at height y and arrive one after the other."""
    for index, number in enumerate(range(first, stop)):
        arrival = y + FLIGHT + index * STEP
        yield line(replica_x, y + index * STEP, CLIENT_X + 2, arrival, color, width=1)
        yield box(CLIENT_X - 32 - 26 * column, arrival - 8, number, color)


def request(replica_x: int, y: int, color: str, words: str, *, lost: bool = False) -> Iterator[str]:
    """A request leaves the client at height y, its words on white so that nothing crosses them."""
    yield line(CLIENT_X, y, replica_x - (12 if lost else 3), y + FLIGHT - (2 if lost else 0), color, width=2.5)
    yield f'<rect x="{CLIENT_X + 22}" y="{y - 18}" width="216" height="17" fill="#ffffff" fill-opacity="0.9"/>'
    yield text(CLIENT_X + 26, y - 5, words, color=color, size=12, bold=True)


def note(y: int, *lines: str) -> Iterator[str]:
    """What the client makes of it, on the left."""
    for index, words in enumerate(lines):
        yield text(14, y + 17 * index, words, size=12)


def trickle() -> Iterator[str]:
    """Two trickles interleaved; replica A dies, and B goes on."""
    edge = EPISODE.edge
    for x, name in ((CLIENT_X, "client"), (A_X, "replica A"), (B_X, "replica B")):
        yield text(x, 26, name, anchor="middle", bold=True)
    yield line(CLIENT_X, 36, CLIENT_X, 752, GREY, tip=False)
    yield line(A_X, 36, A_X, 408, GREY, tip=False)
    yield line(B_X, 36, B_X, 752, GREY, tip=False)

    yield from responses(A_X, 46, 0, 2, BLUE, 0)
    yield from responses(A_X, 46 + 2 * STEP, 2, 4, ORANGE, 0)
    yield from note(98, "packets 0 to 3 arrive, each", "with its nonce, and a sealed", "continuation")

    yield from request(A_X, 176, BLUE, f"speaks for [0,2), earns [{edge(0)},{edge(2)})")
    yield from request(B_X, 234, ORANGE, f"speaks for [2,4), earns [{edge(2)},{edge(4)})")
    yield from responses(A_X, 224, edge(0), edge(2), BLUE, 0)
    yield from responses(B_X, 292, edge(2), edge(4), ORANGE, 1)
    yield from note(262, "any replica answers: what it", "needs came with the request")

    yield cross(A_X, 412)
    yield text(A_X + 14, 417, "killed", bold=True)
    speaks = f"speaks for [{edge(0)},{edge(2)}), earns [{edge(edge(0))},{edge(edge(2))})"
    yield from request(A_X, 426, BLUE, speaks, lost=True)
    yield cross(A_X, 468)
    yield from note(450, "silence for srtt + 4 rttvar:", "the same request to another", "replica, with the same result")
    yield line(CLIENT_X - 20, 434, CLIENT_X - 20, 504, GREY, width=1, dash="3 3")

    yield from request(B_X, 512, BLUE, speaks)
    yield from responses(B_X, 562, edge(edge(0)), edge(edge(2)), BLUE, 0)
    yield from note(626, "no byte is missing, no number", "came twice; B had never heard", "of this client before")


# tiling

CELL, LEFT = 27, 150
TURNS = (("A", 0, 2, BLUE), ("C", 2, 3, ORANGE), ("B", 3, 6, GREEN), ("A", 6, 8, PINK))
SMALL = Episode(0, 4, 8)
EDGES = ", ".join(str(SMALL.edge(number)) for number in range(9))


def tiling() -> Iterator[str]:
    """What requests speak for above, what they earn below."""
    yield text(14, 66, "speaks for", bold=True)
    yield text(14, 200, "earns", bold=True)
    yield text(14, 84, "packets received", size=11, color=GREY)
    yield text(14, 218, "packets sent", size=11, color=GREY)
    for row, (replica, lo, hi, color) in enumerate(TURNS):
        start, stop = SMALL.edge(lo), SMALL.edge(hi)
        corners = [(lo, 74), (hi, 74), (stop, 186), (start, 186)]
        points = " ".join(f"{LEFT + CELL * at - (2 if at in (hi, stop) else 0)},{y}" for at, y in corners)
        yield f'<polygon points="{points}" fill="{color}" fill-opacity="0.18"/>'
        for number in range(lo, hi):
            yield box(LEFT + CELL * number, 54, number, color, size=CELL)
        for number in range(start, stop):
            yield box(LEFT + CELL * number, 188, number, color, size=CELL)
        yield text(LEFT + CELL * (lo + hi) / 2, 44, f"to {replica}", color=color, anchor="middle", size=12, bold=True)
        yield text(650, 76 + 24 * row, f"{replica}: [{lo},{hi}) earns [{start},{stop})", color=color, bold=True)
    yield text(14, 250, f"edge(n) = n + C(n), here a window that grows from 4 to 8: {EDGES} for n = 0 to 8.", size=12)
    yield text(
        14, 270, "Neighbours share an edge, so what they earn touches, in whatever order they are handled.", size=12
    )


def pictures() -> dict[str, str]:
    """Each picture by the name of its file."""
    return {
        "trickle.svg": page(860, 772, "A trickle that survives its replica", trickle()),
        "tiling.svg": page(860, 296, "Requests that touch earn numbers that touch", tiling()),
    }


def main() -> None:
    """Write the files beside this one."""
    for name, picture in pictures().items():
        Path(__file__).with_name(name).write_text(picture, encoding="ascii")


if __name__ == "__main__":
    main()
