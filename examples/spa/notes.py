"""The API: notes in memory. One worker, one list; what has to last belongs into a database (see examples/campus)."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI(title="Notes")
NOTES: list[str] = ["Open /about, and reload it there."]


class Note(BaseModel):
    text: str = Field(min_length=1, max_length=200)


@app.get("/notes")
async def read_notes() -> list[str]:
    return NOTES


@app.post("/notes", status_code=201)
async def add_note(note: Note) -> list[str]:
    NOTES.append(note.text)
    return NOTES
