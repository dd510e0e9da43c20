"""FastAPI: a small JSON object, one path parameter."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI(openapi_url=None)


@app.get("/items/{item}")
async def read(item: int) -> dict[str, int | str]:
    return {"item": item, "name": "lamp", "price": 1990}
