"""The application tier: students, courses and grades over HTTP, every method used as RFC 9110 means it.

Each single thing has a version, which is its ETag: GET answers 304 to who has it already, and PUT, PATCH and DELETE with
`If-Match` answer 412 to who has seen an older one. PUT of a student demands `If-Match` (428, RFC 6585): it replaces everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any

from examples.campus.models import CardIn, CourseIn, EnrolmentIn, GradeIn, StudentIn, StudentPatch
from examples.campus.news import News
from examples.campus.store import Store, default_path, last_change
from fastapi import FastAPI, Header, HTTPException, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.routing import Match
from starlette.websockets import WebSocketDisconnect

Row = dict[str, Any]
IfMatch = Annotated[str | None, Header()]


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    store: Store = app.state.store
    await asyncio.to_thread(store.create)
    app.state.news = News(store)
    watching = asyncio.create_task(app.state.news.watch())
    yield
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


app = FastAPI(title="Campus", version="1.0", lifespan=lifespan)
app.state.store = Store(default_path())


@contextlib.contextmanager
def transaction(write: bool = False) -> Iterator[sqlite3.Connection]:
    """One transaction; a broken promise of the schema (unique, foreign key) is a conflict: 409."""
    try:
        with app.state.store.transaction(write) as db:
            yield db
    except sqlite3.IntegrityError as error:
        raise HTTPException(409, f"This contradicts what is there already ({error}).") from error


def readable(path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What can be got can also be asked for its head (RFC 9110 section 9.3.2)."""

    def register(endpoint: Callable[..., Any]) -> Callable[..., Any]:
        app.head(path, include_in_schema=False)(endpoint)
        return app.get(path)(endpoint)

    return register


# -- answers


def answer(request: Request, body: Any, tag: str, status: int = 200, fields: Mapping[str, str] = {}) -> Response:
    """`body` as JSON under the entity tag `tag`; 304 if the client has it (weak comparison, RFC 9110 section 13.1.2)."""
    fields = {**fields, "etag": tag, "cache-control": "no-cache"}
    if status == 200 and request.method in ("GET", "HEAD") and tagged(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=fields)
    return JSONResponse(body, status, headers=fields)


def tagged(field: str | None, tag: str) -> bool:
    """Does an `If-Match` or `If-None-Match` name `tag`?"""
    return field is not None and (field.strip() == "*" or tag in [t.strip() for t in field.split(",")])


def tag_of(row: Row) -> str:
    return f'"{row["id"]}.{row["version"]}"'


def shown(row: Row) -> Row:
    """A row as clients see it: the version is in the ETag."""
    return {k: v for k, v in row.items() if k != "version"}


def one(db: sqlite3.Connection, sql: str, *values: object) -> Row:
    row = db.execute(sql, values).fetchone()
    if row is None:
        raise HTTPException(404, "There is no such thing here.")
    return dict(row)


def listed(
    request: Request, db: sqlite3.Connection, sql: str, *values: object, fields: Mapping[str, str] = {}
) -> Response:
    return answer(request, [shown(dict(r)) for r in db.execute(sql, values)], f'W/"{last_change(db)}"', fields=fields)


def student_row(db: sqlite3.Connection, student: int) -> Row:
    return one(db, "SELECT * FROM students WHERE id = ?", student)


def course_row(db: sqlite3.Connection, course: int) -> Row:
    return one(db, "SELECT * FROM courses WHERE id = ?", course)


def check_match(if_match: str | None, row: Row) -> None:
    if if_match is not None and not tagged(if_match, tag_of(row)):
        raise HTTPException(412, "It was changed since you saw it.", {"etag": tag_of(row)})


def location(request: Request, name: str, **params: object) -> str:
    return request.url_for(name, **params).path


@app.exception_handler(AnyHTTPException)
async def problem(request: Request, error: AnyHTTPException) -> Response:
    """Errors as RFC 9457 says. 405 names all methods of the path; OPTIONS is answered from the same list."""
    fields = {name.lower(): value for name, value in (error.headers or {}).items()}
    if error.status_code == 405:
        fields["allow"] = ", ".join(allowed(request))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"allow": fields["allow"]})
    status = HTTPStatus(error.status_code)
    body = {"title": status.phrase, "status": status.value, "detail": error.detail}
    return JSONResponse(body, status.value, fields, "application/problem+json")


@app.exception_handler(RequestValidationError)
async def invalid(request: Request, error: RequestValidationError) -> Response:
    errors = [
        # A regular expression explains nothing to people.
        {
            "at": ".".join(map(str, e["loc"])),
            "says": "is not in its form" if "pattern" in e.get("ctx", {}) else e["msg"],
        }
        for e in error.errors()
    ]
    body = {"title": "Unprocessable Content", "status": 422, "detail": "The content is not valid.", "errors": errors}
    return JSONResponse(body, 422, media_type="application/problem+json")


def allowed(request: Request) -> list[str]:
    """The methods of the resource that `request` names."""
    methods = {"OPTIONS"}
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


# -- students


@readable("/students")
def list_students(
    request: Request,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
    q: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    with transaction() as db:
        like = f"%{q}%"
        total = db.execute("SELECT count(*) FROM students WHERE name LIKE ?", (like,)).fetchone()[0]
        pages = {"first": 1, "prev": page - 1, "next": page + 1, "last": max(1, -(-total // size))}
        links = [
            f'<{request.url.path}?{request.url.include_query_params(page=n).query}>; rel="{rel}"'
            for rel, n in pages.items()
            if 1 <= n <= pages["last"]
        ]
        fields = {"x-total-count": str(total), "link": ", ".join(links)}
        sql = "SELECT * FROM students WHERE name LIKE ? ORDER BY name LIMIT ? OFFSET ?"
        return listed(request, db, sql, like, size, (page - 1) * size, fields=fields)


@app.post("/students")
def add_student(request: Request, student: StudentIn) -> Response:
    with transaction(write=True) as db:
        cursor = db.execute("INSERT INTO students (name, email) VALUES (?, ?)", (student.name, student.email))
        row = student_row(db, cursor.lastrowid or 0)
    where = location(request, "get_student", student=row["id"])
    return answer(request, shown(row), tag_of(row), 201, {"location": where})


@readable("/students/{student}")
def get_student(request: Request, student: int) -> Response:
    with transaction() as db:
        row = student_row(db, student)
    return answer(request, shown(row), tag_of(row))


@app.put("/students/{student}")
def replace_student(request: Request, student: int, new: StudentIn, if_match: IfMatch = None) -> Response:
    if if_match is None:
        raise HTTPException(428, "Say with If-Match which version you replace.")
    return _change_student(request, student, new.model_dump(), if_match)


@app.patch("/students/{student}")
def change_student(request: Request, student: int, patch: StudentPatch, if_match: IfMatch = None) -> Response:
    return _change_student(request, student, patch.model_dump(exclude_unset=True), if_match)


def _change_student(request: Request, student: int, new: Row, if_match: str | None) -> Response:
    with transaction(write=True) as db:
        row = student_row(db, student)
        check_match(if_match, row)
        db.execute(
            "UPDATE students SET name = :name, email = :email, version = version + 1 WHERE id = :id", {**row, **new}
        )
        row = student_row(db, student)
    return answer(request, shown(row), tag_of(row))


@app.delete("/students/{student}")
def remove_student(student: int, if_match: IfMatch = None) -> Response:
    with transaction(write=True) as db:
        check_match(if_match, student_row(db, student))
        db.execute("DELETE FROM students WHERE id = ?", (student,))
    return Response(status_code=204)


# -- one to one: the card of a student


@readable("/students/{student}/card")
def get_card(request: Request, student: int) -> Response:
    with transaction() as db:
        row = one(db, "SELECT * FROM cards WHERE student_id = ?", student)
        return answer(request, row, f'W/"{last_change(db)}"')


@app.put("/students/{student}/card")
def put_card(request: Request, student: int, card: CardIn) -> Response:
    """The client knows the URL, so PUT also makes the card: 201 the first time, 200 after that."""
    with transaction(write=True) as db:
        student_row(db, student)
        values = (card.number, card.valid_until.isoformat(), student)
        new = not db.execute("UPDATE cards SET number = ?, valid_until = ? WHERE student_id = ?", values).rowcount
        if new:
            db.execute("INSERT INTO cards (number, valid_until, student_id) VALUES (?, ?, ?)", values)
        row = one(db, "SELECT * FROM cards WHERE student_id = ?", student)
        return answer(request, row, f'W/"{last_change(db)}"', 201 if new else 200)


@app.delete("/students/{student}/card")
def remove_card(student: int) -> Response:
    with transaction(write=True) as db:
        one(db, "DELETE FROM cards WHERE student_id = ? RETURNING *", student)
    return Response(status_code=204)


# -- many to many: the courses of a student, the students of a course, and the grade

ENROLMENTS = """SELECT e.student_id, s.name AS student, e.course_id, c.code, c.title, e.grade
    FROM enrolments e JOIN students s ON s.id = e.student_id JOIN courses c ON c.id = e.course_id"""
ENROLMENT = f"{ENROLMENTS} WHERE e.student_id = ? AND e.course_id = ?"


@readable("/students/{student}/enrolments")
def list_enrolments(request: Request, student: int) -> Response:
    with transaction() as db:
        student_row(db, student)
        return listed(request, db, f"{ENROLMENTS} WHERE e.student_id = ? ORDER BY c.code", student)


@app.post("/students/{student}/enrolments")
def enrol(request: Request, student: int, enrolment: EnrolmentIn) -> Response:
    """409 if the student is enrolled already; 404 where there is no such student, 422 where there is no such course."""
    with transaction(write=True) as db:
        student_row(db, student)
        if not db.execute("SELECT 1 FROM courses WHERE id = ?", (enrolment.course_id,)).fetchone():
            raise HTTPException(422, "There is no such course.")
        db.execute("INSERT INTO enrolments VALUES (?, ?, ?)", (student, enrolment.course_id, enrolment.grade))
        row = one(db, ENROLMENT, student, enrolment.course_id)
        where = location(request, "get_enrolment", student=student, course=enrolment.course_id)
        return answer(request, row, f'W/"{last_change(db)}"', 201, {"location": where})


@readable("/students/{student}/enrolments/{course}")
def get_enrolment(request: Request, student: int, course: int) -> Response:
    with transaction() as db:
        return answer(request, one(db, ENROLMENT, student, course), f'W/"{last_change(db)}"')


@app.patch("/students/{student}/enrolments/{course}")
def grade(request: Request, student: int, course: int, new: GradeIn) -> Response:
    with transaction(write=True) as db:
        one(db, ENROLMENT, student, course)
        values = (new.grade, student, course)
        db.execute("UPDATE enrolments SET grade = ? WHERE student_id = ? AND course_id = ?", values)
        return answer(request, one(db, ENROLMENT, student, course), f'W/"{last_change(db)}"')


@app.delete("/students/{student}/enrolments/{course}")
def leave(student: int, course: int) -> Response:
    with transaction(write=True) as db:
        one(db, "DELETE FROM enrolments WHERE student_id = ? AND course_id = ? RETURNING *", student, course)
    return Response(status_code=204)


@readable("/courses/{course}/students")
def list_students_of_course(request: Request, course: int) -> Response:
    with transaction() as db:
        course_row(db, course)
        return listed(request, db, f"{ENROLMENTS} WHERE e.course_id = ? ORDER BY s.name", course)


# -- courses, and one to many: the courses of a teacher


@readable("/courses")
def list_courses(request: Request) -> Response:
    with transaction() as db:
        return listed(request, db, "SELECT * FROM courses ORDER BY code")


@app.post("/courses")
def add_course(request: Request, course: CourseIn) -> Response:
    with transaction(write=True) as db:
        if not db.execute("SELECT 1 FROM teachers WHERE id = ?", (course.teacher_id,)).fetchone():
            raise HTTPException(422, "There is no such teacher.")
        sql = "INSERT INTO courses (code, title, credits, teacher_id) VALUES (:code, :title, :credits, :teacher_id)"
        row = course_row(db, db.execute(sql, course.model_dump()).lastrowid or 0)
    where = location(request, "get_course", course=row["id"])
    return answer(request, shown(row), tag_of(row), 201, {"location": where})


@readable("/courses/{course}")
def get_course(request: Request, course: int) -> Response:
    with transaction() as db:
        row = course_row(db, course)
    return answer(request, shown(row), tag_of(row))


@app.delete("/courses/{course}")
def remove_course(course: int, if_match: IfMatch = None) -> Response:
    """409 while somebody is enrolled."""
    with transaction(write=True) as db:
        check_match(if_match, course_row(db, course))
        db.execute("DELETE FROM courses WHERE id = ?", (course,))
    return Response(status_code=204)


@readable("/teachers")
def list_teachers(request: Request) -> Response:
    with transaction() as db:
        return listed(request, db, "SELECT * FROM teachers ORDER BY id")


@readable("/teachers/{teacher}/courses")
def list_courses_of_teacher(request: Request, teacher: int) -> Response:
    with transaction() as db:
        one(db, "SELECT * FROM teachers WHERE id = ?", teacher)
        return listed(request, db, "SELECT * FROM courses WHERE teacher_id = ? ORDER BY code", teacher)


# -- what changes, pushed


@app.websocket("/changes")
async def changes(socket: WebSocket) -> None:
    """First `{"what": "hello", "id": N}`, then each change as `{"id", "what", "kind", "key"}`."""
    news: News = socket.app.state.news
    await socket.accept()
    seen = news.last
    await socket.send_json({"what": "hello", "id": seen})
    gone = asyncio.create_task(_until_gone(socket))
    try:
        while True:
            fresh = asyncio.create_task(news.after(seen))
            await asyncio.wait({gone, fresh}, return_when=asyncio.FIRST_COMPLETED)
            if not fresh.done():
                fresh.cancel()
                return
            for change in fresh.result():
                await socket.send_json(change)
                seen = int(change["id"])  # type: ignore[call-overload]
    except WebSocketDisconnect:
        return
    finally:
        gone.cancel()


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
