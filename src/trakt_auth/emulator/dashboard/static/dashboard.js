// Keeps the dashboard up to date, and sends its forms without leaving the page.
// The emulator renders all HTML; without this script the page works by reloading.
"use strict";

const INTERVAL = 1000; // milliseconds between two updates
const SHOWN = 8000; // milliseconds for which a confirmation is shown
const notice = document.getElementById("notice");
const done = document.getElementById("done");
const pause = document.getElementById("pause");
const query = new URLSearchParams(location.search); // what the log and the fault form show
let hiding; // the timer that removes the confirmation
let paused = false;
let lost = false;
let queue = Promise.resolve(); // one request at a time: the form token belongs to the cookie

// Changes `now` into `wanted`. An element that is in both stays the same element, so that it keeps
// its focus, its selection, and what the user has typed or opened.
function morph(now, wanted) {
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.data !== wanted.data) now.data = wanted.data;
    return;
  }
  for (const { name, value } of wanted.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  for (const { name } of [...now.attributes]) {
    const kept = name === "open" || name === "aria-disabled";
    if (!kept && !wanted.hasAttribute(name)) now.removeAttribute(name);
  }
  const names = new Set([...wanted.children].map((child) => child.id).filter(Boolean));
  for (const child of [...now.children]) {
    if (child.id && !names.has(child.id)) child.remove();
  }
  let place = now.firstChild;
  for (const next of [...wanted.childNodes]) {
    const kept = next.id && [...now.children].find((child) => child.id === next.id);
    while (kept && place && place !== kept) place = removed(place);
    if (place && sameElement(place, next)) {
      const known = place;
      place = place.nextSibling;
      morph(known, next);
    } else {
      now.insertBefore(document.importNode(next, true), place);
    }
  }
  while (place) place = removed(place);
}

// Removes a node and returns the one after it.
function removed(node) {
  const rest = node.nextSibling;
  node.remove();
  return rest;
}

function sameElement(one, other) {
  return one.nodeName === other.nodeName && (one.id ?? "") === (other.id ?? "");
}

function show(html) {
  const wanted = new DOMParser().parseFromString(html, "text/html");
  const focused = document.activeElement;
  const around = focused?.closest("[data-live]");
  for (const part of wanted.querySelectorAll("[data-live]")) {
    const now = document.getElementById(part.id);
    if (now) morph(now, part);
  }
  if (focused && !focused.isConnected) around?.querySelector("h2")?.focus();
}

async function update() {
  const response = await fetch(`/emulator/room?${query}`);
  if (response.ok) show(await response.text());
  if (lost) notice.textContent = "";
  lost = false;
}

async function press(fields) {
  // A reset or a day on the clock ends the session: use the token of the latest update.
  fields.set("csrf", document.getElementById("clock").dataset.csrf);
  const headers = { accept: "application/json" };
  const response = await fetch("/", { method: "POST", body: fields, headers });
  const answer = await response.json().catch(() => ({}));
  await update();
  if (response.ok) confirm(answer.done);
  else notice.textContent = `Nothing was changed. ${answer.error ?? "Press again, or reload this page."}`;
}

// Shows a confirmation for a while. The log keeps it.
function confirm(text) {
  done.textContent = text;
  clearTimeout(hiding);
  hiding = setTimeout(() => (done.textContent = ""), SHOWN);
}

function address() {
  return String(query) ? `/?${query}` : "/";
}

// Shows what a link or a form of the page selects, without leaving the page.
function select(chosen) {
  for (const name of ["log", "fault"]) {
    const value = chosen.get(name);
    if (value) query.set(name, value);
    else query.delete(name);
  }
  history.replaceState(null, "", address());
  enqueue(update);
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(`${source.textContent.trim()}\n`);
    confirm("Copied.");
  } catch {
    getSelection().selectAllChildren(source); // the browser does not allow it: the user can
    confirm("Selected: copy it with the keyboard.");
  }
}

function enqueue(work) {
  queue = queue.then(work).catch(() => {
    if (!lost) notice.textContent = "The emulator does not respond. Trying again.";
    lost = true;
  });
  return queue;
}

function keepUpdating() {
  setTimeout(async () => {
    if (!paused && !document.hidden) await enqueue(update);
    keepUpdating();
  }, INTERVAL);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (!form.matches("[data-button]") || !button) return;
  event.preventDefault();
  if (button.getAttribute("aria-disabled") === "true") return; // pressed twice
  button.setAttribute("aria-disabled", "true");
  const fields = new URLSearchParams(new FormData(form, button));
  done.textContent = notice.textContent = "";
  enqueue(() => press(fields)).then(() => button.removeAttribute("aria-disabled"));
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-select]");
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  select(new URL(link.href).searchParams);
});

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-select]");
  if (form) select(new FormData(form));
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !paused) enqueue(update);
});

document.querySelector("main").classList.add("scripted");
query.delete("done"); // a confirmation is shown once
history.replaceState(null, "", address() + location.hash);
if (done.textContent) confirm(done.textContent);
pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  if (!paused) enqueue(update);
});

keepUpdating();
