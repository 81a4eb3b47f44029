"""A visit to the Gradio program by its client."""

from gradio_client import Client

from benchmarks.applications.visiting import User

STEPS = 10


def visit(user: User) -> None:
    with user.step("connect", requests=2):
        client = Client(user.url, verbose=False)
    with user.step("greet", requests=2):
        user.shows("greet", client.predict(user.name, api_name="/greet"))
    with user.step("count", requests=2):
        job = client.submit(STEPS, api_name="/count")
        user.shows("count", [job.result(timeout=30), job.outputs()])
