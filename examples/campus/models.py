"""What may be sent. Whatever else comes is answered 422, with the place of each mistake."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
Email = Annotated[str, Field(max_length=200, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Grade = Annotated[int, Field(ge=0, le=100)]
Credits = Annotated[int, Field(ge=1, le=30)]
Code = Annotated[str, Field(pattern=r"^[A-Z]{2,5}[0-9]{1,3}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StudentIn(_Strict):
    name: Name
    email: Email


class StudentPatch(_Strict):
    """A merge patch (RFC 7396): what is not named stays as it is."""

    name: Name = ""
    email: Email = ""


class CourseIn(_Strict):
    code: Code
    title: Name
    credits: Credits
    teacher_id: int


class CardIn(_Strict):
    number: Annotated[str, Field(pattern=r"^C-[0-9]{3,8}$")]
    valid_until: date


class EnrolmentIn(_Strict):
    course_id: int
    grade: Grade | None = None


class GradeIn(_Strict):
    grade: Grade | None
