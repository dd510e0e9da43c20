"""The same by Starlette."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route


async def item(request: Request) -> Response:
    number = request.path_params["number"]
    url = str(request.url_for("item", number=number))
    return JSONResponse({"number": number, "q": request.query_params.get("q", ""), "url": url})


async def echo(request: Request) -> Response:
    return JSONResponse(await request.json())


async def form(request: Request) -> Response:
    return JSONResponse(dict(await request.form()))


async def upload(request: Request) -> Response:
    async with request.form() as fields:
        file = fields["file"]
        assert isinstance(file, UploadFile)
        data = await file.read()
    return JSONResponse({"name": file.filename, "size": len(data), "sha": hashlib.sha256(data).hexdigest()})


async def redirect(request: Request) -> Response:
    return RedirectResponse(request.url_for("item", number=7))


async def cookies(request: Request) -> Response:
    response = JSONResponse(request.cookies)
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


async def fail(request: Request) -> Response:
    raise ZeroDivisionError("by starlette")


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        for i in range(5):
            yield f"piece {i}\n"

    return StreamingResponse(pieces(), media_type="text/plain")


app = Starlette(
    routes=[
        Route("/items/{number:int}", item),
        Route("/echo", echo, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/redirect", redirect),
        Route("/cookies", cookies),
        Route("/raise", fail),
        Route("/stream", stream),
    ]
)
