"""What every framework here serves the same way, by FastAPI."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, Response, UploadFile
from fastapi.responses import RedirectResponse, StreamingResponse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    print("fastapi starts", flush=True)
    yield {"greeting": "from lifespan"}
    print("fastapi has shut down", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/items/{number}")
async def item(request: Request, number: int, q: str = "") -> dict[str, object]:
    return {"number": number, "q": q, "url": str(request.url_for("item", number=number))}


@app.post("/echo")
async def echo(value: dict[str, Any]) -> dict[str, Any]:
    return value


@app.post("/form")
async def form(name: Annotated[str, Form()], town: Annotated[str, Form()]) -> dict[str, str]:
    return {"name": name, "town": town}


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, object]:
    data = await file.read()
    return {"name": file.filename, "size": len(data), "sha": hashlib.sha256(data).hexdigest()}


@app.get("/redirect")
async def redirect(request: Request) -> RedirectResponse:
    return RedirectResponse(request.url_for("item", number=7))


@app.get("/cookies")
async def cookies(request: Request, response: Response) -> dict[str, str]:
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return dict(request.cookies)


@app.get("/raise")
async def fail() -> None:
    raise ZeroDivisionError("by fastapi")


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for i in range(5):
            yield f"piece {i}\n"

    return StreamingResponse(pieces(), media_type="text/plain")


@app.get("/state")
async def state(request: Request) -> str:
    return str(request.state.greeting)
