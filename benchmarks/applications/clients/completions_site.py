"""A visit to the server of a language model by the openai client, which is not to repeat requests by itself."""

import httpx
import openai

from benchmarks.applications.programs.database import titles as effects  # noqa: F401 - of the visits
from benchmarks.applications.visiting import UnknownOutcome, User

TIMEOUT_SECONDS = 30.0


def visit(user: User) -> None:
    with openai.OpenAI(base_url=f"{user.url}/v1", api_key="any", max_retries=0, timeout=TIMEOUT_SECONDS) as client:
        with user.step("models"):
            user.shows("models", [each.id for each in client.models.list()])
        with user.step("streamed", effect=f"{user.name} streamed"):
            user.shows("streamed", streamed(client, f"{user.name} streamed"))
        with user.step("whole", effect=f"{user.name} whole"):
            asked = [{"role": "user", "content": f"{user.name} whole"}]
            answer = client.chat.completions.create(model="stub", messages=asked)  # type: ignore[arg-type]
            user.shows("whole", answer.choices[0].message.content)


def streamed(client: openai.OpenAI, prompt: str) -> str:
    """The text of a streamed answer; UnknownOutcome if it ends too early, and visibly so."""
    asked = [{"role": "user", "content": prompt}]
    stream = client.chat.completions.create(model="stub", messages=asked, stream=True)  # type: ignore[call-overload]
    text = ""
    try:
        for each in stream:
            text += each.choices[0].delta.content or ""
    except (httpx.RemoteProtocolError, httpx.ReadError, openai.APIError) as error:
        raise UnknownOutcome(f"broke off after {len(text)} characters: {error}") from error
    return text
