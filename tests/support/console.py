"""The console sessions of a document, read and played: what stands in the docs is what was run.

A fenced block marked `console` is a session: lines that begin with `$ ` are typed (those that begin with `> ` go on
with them), the others are what comes back. `...` stands for anything in a line, and as a line of its own for any lines.
A word behind `console` names a terminal: what is typed there is left running once it has said what stands below it;
a line `^C` ends it.
"""

import os
import random
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PATIENCE_SECONDS = 60.0  # that one command may take
INTERRUPT = "^C"
_FENCE = re.compile(r"^```(\S+)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"\b(8080|844\d|90\d\d)\b")
_END = "end-of-command"


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language, the word behind it ("" for none), and its text."""

    language: str
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and the lines that come back."""

    command: str
    output: tuple[str, ...]


def blocks(document: str) -> list[Block]:
    """All fenced blocks that name a language."""
    return [Block(found[1], found[2] or "", found[3]) for found in _FENCE.finditer(document)]


def steps(text: str) -> Iterator[Step]:
    """The commands of a session; AssertionError when it begins with output."""
    command, output = "", list[str]()
    for line in text.splitlines():
        if line.startswith("> ") and command and not output:
            command += "\n" + line[2:]
        elif line.startswith("$ ") or line == INTERRUPT:
            if command:
                yield Step(command, tuple(output))
            command, output = line.removeprefix("$ "), []
        else:
            assert command, f"a session begins with a command, not with {line!r}"
            output.append(line)
    if command:
        yield Step(command, tuple(output))


def renamed(block: Block, names: Mapping[str, str]) -> Block:
    """The block with some words replaced: what a test has to put elsewhere."""
    text = block.text
    for name, other in names.items():
        text = text.replace(name, other)
    return Block(block.language, block.word, text)


def agrees(expected: Sequence[str], told: Sequence[str]) -> bool:
    """Whether the lines that came are those that stand in the document."""
    pattern = "".join("(.*\n)*" if line == "..." else _pattern(line) + "\n" for line in expected)
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in told)) is not None


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.rstrip().split("..."))


def moved_ports(document: str) -> str:
    """The document with its ports (8080, 844x, 90xx) moved to free ones, all by the same distance."""
    ports = {int(port) for port in _PORT.findall(document)}
    chance = random.Random(os.getpid())
    shift = next(each for each in iter(lambda: chance.randrange(2_000, 22_000), 0) if _free(ports, each))
    return _PORT.sub(lambda found: str(int(found[1]) + shift), document)


def _free(ports: set[int], shift: int) -> bool:
    for port in ports:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as sock:
                try:
                    sock.bind(("127.0.0.1", port + shift))
                except OSError:
                    return False
    return True


class Shell:
    """A bash that is typed into; a context manager that ends it and all it has started."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environ,
            process_group=0,
            preexec_fn=_interruptible,  # noqa: PLW1509 - no thread of ours holds a lock that it would want
        )
        self._pending = b""
        self._left = False

    def enter(self, step: Step) -> None:
        """Type a command, wait until it has ended, and compare; AssertionError when it fails or says something else."""
        self._write(f"{{ {step.command}\n}} </dev/null\nprintf '\\n{_END} %s\\n' $?\n")
        told, code = list[str](), ""
        while not code:
            line = self._line(step)
            if line.startswith(_END):
                code = line.removeprefix(_END).strip()
            else:
                told.append(line)
        if told[-1] == "":  # the line break that was put before the end
            told.pop()
        assert code == "0", f"$ {step.command}\nended with {code} and said:\n" + "\n".join(told)
        assert agrees(step.output, told), _difference(step, told)

    def leave(self, step: Step) -> None:
        """Type a command, wait until it has said what it should, and leave it running."""
        assert not self._left, "this terminal is in use"
        self._left = True
        self._write(f"{{ {step.command}\n}} </dev/null\n")
        told = list[str]()
        while not agrees(step.output, told):
            told.append(self._line(step, told))

    def interrupt(self) -> None:
        """Ctrl-C, and the end of it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        os.killpg(self._process.pid, signal.SIGINT)
        assert self._process.wait(PATIENCE_SECONDS) in (0, 2, 130, -signal.SIGINT)  # make says 2

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def _line(self, step: Step, told: Sequence[str] = ()) -> str:
        assert self._process.stdout is not None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while b"\n" not in self._pending:
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._process.stdout], [], [], left)
            data = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
            assert data, _difference(step, [*told, self._pending.decode()])
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode("utf-8", "replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and all it has started."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None or number == signal.SIGTERM:
                _signal_group(self._process.pid, number)
            try:
                self._process.wait(PATIENCE_SECONDS / 6)
            except subprocess.TimeoutExpired:
                continue
        self._process.stdin.close()
        self._process.stdout.close()


def _interruptible() -> None:
    """Tests that were started in the background have SIGINT ignored, and would hand that down."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return


def _difference(step: Step, told: Sequence[str]) -> str:
    return f"$ {step.command}\nshould say:\n" + "\n".join(step.output) + "\n\nsays:\n" + "\n".join(told)


def play(sessions: Sequence[Block], folder: Path, environ: Mapping[str, str]) -> None:
    """Play sessions in order; AssertionError at the first command that does not do what the document says."""
    terminals: dict[str, Shell] = {}
    try:
        for block in sessions:
            for step in steps(block.text):
                if step.command == INTERRUPT:
                    with terminals.pop(block.word) as shell:
                        shell.interrupt()
                    continue
                if block.word not in terminals:
                    terminals[block.word] = Shell(folder, environ)
                if block.word:
                    terminals[block.word].leave(step)
                else:
                    terminals[""].enter(step)
    finally:
        for shell in reversed(terminals.values()):
            shell.close()
