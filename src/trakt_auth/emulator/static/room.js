// Keeps the control room up to date, and presses its buttons without leaving the page.
// The emulator renders everything; without this script the page works by reloading.
"use strict";

const PACE = 1000; // milliseconds between two looks
const notice = document.getElementById("notice");
const said = document.getElementById("said");
const pause = document.getElementById("pause");
let paused = false;
let lost = false;
let queue = Promise.resolve(); // one request at a time, so that cookie and form token stay a pair

// Makes `now` look like `wanted` while what stays the same stays the same element,
// with its focus, its selection, and whatever was typed or opened.
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
    while (kept && place && place !== kept) place = dropped(place);
    if (place && alike(place, next)) {
      const known = place;
      place = place.nextSibling;
      morph(known, next);
    } else {
      now.insertBefore(document.importNode(next, true), place);
    }
  }
  while (place) place = dropped(place);
}

function dropped(node) {
  const rest = node.nextSibling;
  node.remove();
  return rest;
}

function alike(one, other) {
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

async function look() {
  const answer = await fetch("/emulator/room");
  if (answer.ok) show(await answer.text());
  if (lost) notice.textContent = "";
  lost = false;
}

async function press(fields, button) {
  // A reset, or a day that has passed, ends the session: the newest form token counts.
  fields.set("csrf", document.getElementById("clock").dataset.csrf);
  said.textContent = notice.textContent = "";
  const headers = { accept: "application/json" };
  const answer = await fetch("/", { method: "POST", body: fields, redirect: "manual", headers });
  if (answer.type === "opaqueredirect") {
    await look();
    said.textContent = button.dataset.said ?? "";
    return;
  }
  const { error } = await answer.json().catch(() => ({}));
  await look();
  notice.textContent = `Nothing was done. ${error ?? "Press again, or reload this page."}`;
}

function enqueue(work) {
  queue = queue.then(work).catch(() => {
    if (!lost) notice.textContent = "The emulator does not answer. Trying again.";
    lost = true;
  });
  return queue;
}

function keepLooking() {
  setTimeout(async () => {
    if (!paused && !document.hidden) await enqueue(look);
    keepLooking();
  }, PACE);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (!form.matches("[data-press]") || !button) return;
  event.preventDefault();
  if (button.getAttribute("aria-disabled") === "true") return; // pressed twice
  button.setAttribute("aria-disabled", "true");
  const fields = new URLSearchParams(new FormData(form, button));
  enqueue(() => press(fields, button)).then(() => button.removeAttribute("aria-disabled"));
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !paused) enqueue(look);
});

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  if (!paused) enqueue(look);
});

keepLooking();
