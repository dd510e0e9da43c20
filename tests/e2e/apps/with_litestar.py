"""The same by Litestar."""

# Litestar reads the annotations of its handlers where they stand: nothing may be postponed here.
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import Cookie, UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect, Stream


@get("/items/{number:int}", name="item")
async def item(request: Request[Any, Any, Any], number: int, q: str = "") -> dict[str, Any]:
    return {"number": number, "q": q, "url": str(request.url_for("item", number=number))}


@post("/echo", status_code=200)
async def echo(data: dict[str, Any]) -> dict[str, Any]:
    return data


@post("/form", status_code=200)
async def form(data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]) -> dict[str, str]:
    return data


@post("/upload", status_code=200)
async def upload(
    data: Annotated[dict[str, UploadFile], Body(media_type=RequestEncodingType.MULTI_PART)],
) -> dict[str, Any]:
    content = await data["file"].read()
    return {"name": data["file"].filename, "size": len(content), "sha": hashlib.sha256(content).hexdigest()}


@get("/redirect")
async def redirect(request: Request[Any, Any, Any]) -> Redirect:
    return Redirect(str(request.url_for("item", number=7)))


@get("/cookies")
async def cookies(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    return Response(request.cookies, cookies=[Cookie("first", value="1"), Cookie("second", value="2")])


@get("/raise")
async def fail() -> None:
    raise ZeroDivisionError("by litestar")


@get("/stream")
async def stream() -> Stream:
    async def pieces() -> AsyncIterator[str]:
        for i in range(5):
            yield f"piece {i}\n"

    return Stream(pieces(), media_type="text/plain")


app = Litestar([item, echo, form, upload, redirect, cookies, fail, stream])
