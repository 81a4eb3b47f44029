"""Gradio: a function with a queue, in memory as it is by default."""

import time
from collections.abc import Iterator

import gradio
from fastapi import FastAPI


def greet(name: str) -> str:
    return f"Hello, {name}"


def count(upto: float) -> Iterator[str]:
    for number in range(int(upto)):
        time.sleep(0.05)
        yield f"step {number}"


with gradio.Blocks() as blocks:
    name, answer, number = gradio.Textbox(), gradio.Textbox(), gradio.Number()
    gradio.Button("greet").click(greet, name, answer, api_name="greet")
    gradio.Button("count").click(count, number, answer, api_name="count")

app = gradio.mount_gradio_app(FastAPI(), blocks, path="/")
