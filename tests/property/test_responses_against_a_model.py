"""A folder of responses agrees with the simple store in memory, whatever is begun, appended, ended, killed and read."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trickleweb.errors import ResponseStoreError
from trickleweb.response_store import ResponseBounds, ResponseWriter
from trickleweb.stores import FolderResponses, MemoryResponses, SharedResponses

BOUNDS = ResponseBounds(most_bytes=40)  # the others are soft in a folder
WORDS = ("begin", "start", "append", "complete", "close", "read", "kill")
OPERATIONS = st.lists(
    st.tuples(st.sampled_from(WORDS), st.integers(0, 1), st.integers(0, 5), st.integers(0, 30)), max_size=40
)
Store = FolderResponses | MemoryResponses


class Kind:
    """Two replicas of one kind of store, and all that was begun there, in order."""

    def __init__(self, first: Store, second: Store) -> None:
        self.replicas = [first, second]
        self.writers: list[tuple[int, ResponseWriter]] = []

    async def done(self, word: str, who: int, which: int, number: int) -> object:
        """Do one operation; return what a user of the store sees."""
        if word == "begin":
            self.writers.append((who, await self.replicas[who].begin(client=bytes([which % 2]))))
            return None
        if which >= len(self.writers):
            return None
        _, writer = self.writers[which]
        if word == "read":
            return await self.replicas[who].read(writer.name, number % 11, number)
        if word == "start":
            await writer.start(bytes([which]) * number)
        elif word == "append":
            await writer.append(bytes([number]) * number)
        elif word == "complete":
            await writer.append(b"", last=True)
        elif word == "close":
            writer.close()
        return None

    async def tried(self, word: str, who: int, which: int, number: int) -> object:
        try:
            return await self.done(word, who, which, number)
        except ResponseStoreError as error:
            if word != "begin" and which < len(self.writers):
                self.writers[which][1].close()  # the only thing that is left
            return type(error)


@pytest.mark.slow
@settings(max_examples=60)
@given(OPERATIONS)
def test_the_folder_agrees_with_the_model(operations: list[tuple[str, int, int, int]]) -> None:
    async def story() -> None:
        with TemporaryDirectory() as folder:
            shared, root = SharedResponses(BOUNDS), Path(folder) / "responses"
            model = Kind(MemoryResponses(shared), MemoryResponses(shared))
            files = Kind(FolderResponses(root, BOUNDS), FolderResponses(root, BOUNDS))
            for word, who, which, number in operations:
                if word == "kill":
                    model.replicas[who].close()
                    model.replicas[who] = MemoryResponses(shared)
                    files.replicas[who].close()
                    files.replicas[who] = FolderResponses(root, BOUNDS)
                    continue
                assert await files.tried(word, who, which, number) == await model.tried(word, who, which, number)
            for each in files.replicas:
                each.close()

    asyncio.run(story())
