// The page: draws what the API says, and draws again when the WebSocket says that something changed.

const $ = (id) => document.getElementById(id);
const state = { page: 1, q: "", student: null, tag: null, courses: [] };
const SIZE = 8;

function element(name, text = "", attributes = {}) {
  const e = Object.assign(document.createElement(name), attributes);
  e.append(text);
  return e;
}

// -- the wire

function logged(method, path, result, kind = "") {
  const line = element("li", "", { className: kind });
  line.append(element("b", method), element("span", path), element("i", result));
  $("log").prepend(line);
  while ($("log").children.length > 60) $("log").lastChild.remove();
}

async function call(method, path, body, headers = {}) {
  if (body !== undefined) headers["content-type"] = "application/json";
  const init = { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
  const response = await fetch("api" + path, init);
  logged(method, path, response.status, response.ok ? "" : "error");
  const seen = performance.getEntriesByType("resource").findLast((entry) => entry.nextHopProtocol);
  if (seen) $("protocol").textContent = seen.nextHopProtocol;
  if (!response.ok) {
    const problem = await response.json().catch(() => ({ detail: response.statusText }));
    const places = (problem.errors ?? []).map((e) => `${e.at}: ${e.says}`).join(", ");
    throw Object.assign(new Error(`${response.status} ${places || problem.detail}`), { status: response.status });
  }
  return response;
}

let hiding;
function say(error) {
  $("message").textContent = error.message;
  $("message").hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => ($("message").hidden = true), 6000);
}

const trying = (action) => async (event) => {
  event?.preventDefault();
  try {
    await action(event);
  } catch (error) {
    say(error);
  }
};

// -- drawing

async function drawStudents(fresh) {
  const response = await call("GET", `/students?page=${state.page}&size=${SIZE}&q=${encodeURIComponent(state.q)}`);
  const total = Number(response.headers.get("x-total-count"));
  $("total").textContent = total;
  const rows = (await response.json()).map((student) => {
    const button = element("button", student.name, { type: "button", onclick: trying(() => choose(student.id)) });
    button.append(element("span", student.email));
    if (student.id === state.student) button.setAttribute("aria-current", "true");
    const item = element("li", "", { className: student.id === fresh ? "fresh" : "" });
    item.append(button);
    return item;
  });
  $("students").replaceChildren(...rows);
  const turn = (by) => trying(() => ((state.page += by), drawStudents()));
  const turns = [];
  if (state.page > 1) turns.push(element("button", "Back", { className: "quiet", onclick: turn(-1) }));
  if (state.page * SIZE < total) turns.push(element("button", "More", { className: "quiet", onclick: turn(1) }));
  $("pages").replaceChildren(...turns);
}

async function drawCourses() {
  state.courses = await (await call("GET", "/courses")).json();
  $("courses").replaceChildren(
    ...state.courses.map((course) => {
      const item = element("li", `${course.code} ${course.title}`);
      item.append(element("span", `${course.credits} credits`));
      return item;
    }),
  );
}

async function drawStudent() {
  if (state.student === null) return ($("one").hidden = true);
  const path = `/students/${state.student}`;
  const [student, card, enrolments] = await Promise.all([
    call("GET", path),
    call("GET", `${path}/card`).catch(() => null),
    call("GET", `${path}/enrolments`),
  ]);
  state.tag = student.headers.get("etag");
  const { name, email } = await student.json();
  const { number, valid_until } = card ? await card.json() : {};
  $("edit").elements.name.value = name;
  $("edit").elements.email.value = email;
  $("tag").textContent = `ETag ${state.tag}`;
  $("card").textContent = number ? `Card ${number}, valid until ${valid_until}` : "No card";
  const rows = await enrolments.json();
  $("enrolments").replaceChildren(...rows.map(enrolmentRow));
  const free = state.courses.filter((course) => !rows.some((row) => row.course_id === course.id));
  $("enrol").elements.course_id.replaceChildren(...free.map((c) => element("option", `${c.code} ${c.title}`, { value: c.id })));
  $("enrol").hidden = !free.length;
  $("one").hidden = false;
}

function enrolmentRow(row) {
  const path = `/students/${row.student_id}/enrolments/${row.course_id}`;
  const grade = element("input", "", { type: "number", min: 0, max: 100, value: row.grade ?? "", ariaLabel: "Grade" });
  grade.onchange = trying(() => call("PATCH", path, { grade: grade.value === "" ? null : Number(grade.value) }));
  const leave = element("button", "Leave", { type: "button", className: "quiet", onclick: trying(() => call("DELETE", path)) });
  const line = element("tr");
  for (const part of [`${row.code} ${row.title}`, grade, leave]) line.append(element("td", part));
  return line;
}

async function choose(student) {
  state.student = student;
  await Promise.all([drawStudents(), drawStudent()]);
}

// -- what the user does

$("search").oninput = trying(() => ((state.q = $("search").elements.q.value), (state.page = 1), drawStudents()));
$("search").onsubmit = (event) => event.preventDefault();

$("add").onsubmit = trying(async () => {
  const body = { name: $("add").elements.name.value, email: $("add").elements.email.value };
  const made = await (await call("POST", "/students", body)).json();
  $("add").reset();
  await choose(made.id);
});

$("edit").onsubmit = trying(async () => {
  const body = { name: $("edit").elements.name.value, email: $("edit").elements.email.value };
  try {
    await call("PUT", `/students/${state.student}`, body, { "if-match": state.tag });
  } finally {
    await drawStudent();
  }
});

$("delete").onclick = trying(async () => {
  await call("DELETE", `/students/${state.student}`, undefined, { "if-match": state.tag });
  await choose(null);
});

$("enrol").onsubmit = trying(() =>
  call("POST", `/students/${state.student}/enrolments`, { course_id: Number($("enrol").elements.course_id.value) }),
);

// -- what others do

// One removal is several changes (the student, their card, their courses): they are drawn together.
const waiting = [];
function soon(change) {
  if (waiting.push(change) === 1) setTimeout(trying(() => redraw(waiting.splice(0))), 50);
}

async function redraw(changes) {
  if (changes.some(({ what }) => what === "courses" || what === "hello")) await drawCourses();
  await drawStudents(changes.findLast(({ what }) => what === "students")?.key);
  // Not under the fingers of who is typing: a save that would overwrite this change is refused with 412.
  const typing = $("one").contains(document.activeElement) && document.activeElement.matches("input");
  if (state.student === null || typing) return;
  await drawStudent().catch((error) => {
    if (error.status !== 404) throw error;
    state.student = null;
    $("one").hidden = true;
  });
}

function listen(wait = 500) {
  const socket = new WebSocket(new URL("api/changes", location.href.replace(/^http/, "ws")));
  socket.onopen = () => {
    wait = 500;
    $("live").dataset.state = "on";
    $("live").textContent = "live";
  };
  socket.onmessage = (event) => {
    const change = JSON.parse(event.data);
    logged("PUSH", `${change.what} ${change.kind ?? ""} ${change.key ?? ""}`, `#${change.id}`, "push");
    soon(change);
  };
  socket.onclose = () => {
    $("live").dataset.state = "off";
    $("live").textContent = "connecting";
    setTimeout(() => listen(Math.min(wait * 2, 10000)), wait);
  };
}

listen();
