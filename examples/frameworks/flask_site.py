"""A Flask site."""

from __future__ import annotations

from flask import Flask, url_for

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return f"Flask, mounted at {url_for('index')}\n"


@app.get("/<name>")
def hello(name: str) -> str:
    return f"Hello {name}\n"
