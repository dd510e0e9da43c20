"""The same by Flask."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from flask import Flask, Response, jsonify, request, url_for
from flask import redirect as redirect_to
from werkzeug.wrappers import Response as AnyResponse

app = Flask(__name__)


@app.get("/items/<int:number>")
def item(number: int) -> Response:
    url = url_for("item", number=number, _external=True)
    return jsonify(number=number, q=request.args.get("q", ""), url=url)


@app.post("/echo")
def echo() -> Response:
    return jsonify(request.json)


@app.post("/form")
def form() -> Response:
    return jsonify(request.form.to_dict())


@app.post("/upload")
def upload() -> Response:
    file = request.files["file"]
    data = file.read()
    return jsonify(name=file.filename, size=len(data), sha=hashlib.sha256(data).hexdigest())


@app.get("/redirect")
def redirect() -> AnyResponse:
    return redirect_to(url_for("item", number=7))


@app.get("/cookies")
def cookies() -> Response:
    response = jsonify(request.cookies.to_dict())
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


@app.get("/raise")
def fail() -> Response:
    raise ZeroDivisionError("by flask")


@app.get("/stream")
def stream() -> Response:
    def pieces() -> Iterator[str]:
        for i in range(5):
            yield f"piece {i}\n"

    return Response(pieces(), mimetype="text/plain")
