// What htmx does not do: keys, copying, and the warning before a form is left. Every page
// works without it.
"use strict";

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const code = copy.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      copy.textContent = "Copied";
      say("Copied.");
    } catch { // browsers refuse it without HTTPS
      getSelection().selectAllChildren(code);
      say("Your browser does not let the page copy. The text is selected: copy it yourself.");
    }
  }
});

// A form that makes something is sent once, also by a double click.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-once]");
  if (form?.dataset.once === "sent") {
    event.preventDefault();
  } else if (form) {
    form.dataset.once = "sent";
  }
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.dataset.once = "";
  }
});

// The secret of a token is not kept in a page that "back" brings again.
window.addEventListener("pagehide", () => {
  for (const secret of document.querySelectorAll("[data-secret]")) {
    secret.textContent = "The secret is not shown again.";
  }
  if (event.target.closest("[data-print]")) print();
});

// say tells screen readers what has changed.
function say(text) {
  document.getElementById("live").textContent = text;
}

// A page that follows events asks for the first page again and again. It rests while nobody
// sees it, and keeps what it shows if the answer is an error, such as the form to sign in.
let latestEvent = 0;

function newestEvent() {
  return Math.max(0, ...[...document.querySelectorAll("[data-event]")].map((row) => Number(row.dataset.event)));
}

function follows(event) {
  return event.detail?.ctx?.sourceElement?.matches?.("[data-follow]");
}

document.addEventListener("htmx:before:request", (event) => {
  if (!follows(event)) return;
  if (document.hidden) event.preventDefault();
  latestEvent = newestEvent();
});

document.addEventListener("htmx:before:response", (event) => {
  const ctx = event.detail?.ctx;
  if (!follows(event) || ctx.response.status < 400) return;
  event.preventDefault();
  if (ctx.response.status === 401 || ctx.response.status === 403) location.reload();
});

document.addEventListener("htmx:after:swap", (event) => {
  if (!follows(event)) return;
  const fresh = [...document.querySelectorAll("[data-event]")].filter((row) => Number(row.dataset.event) > latestEvent);
  for (const row of fresh) row.classList.add("new");
  if (fresh.length) say(fresh.length === 1 ? "1 new event." : `${fresh.length} new events.`);
});

// A filter hides the choices that do not have its text.
document.addEventListener("input", (event) => {
  const filter = event.target.closest("[data-filter]");
  if (!filter) return;
  const wanted = filter.value.trim().toLowerCase();
  let shown = 0;
  for (const choice of document.querySelectorAll(filter.dataset.filter + " label")) {
    choice.hidden = !choice.textContent.toLowerCase().includes(wanted);
    shown += choice.hidden ? 0 : 1;
  }
  say(shown + " shown");
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.closest("[data-filter]")) event.preventDefault();
});

for (const button of document.querySelectorAll("[data-without-script]")) button.hidden = true;

// The browser asks before an edited form is left. data-guard="edited" has been edited before.
for (const form of document.querySelectorAll("form[data-guard]")) {
  let edited = form.dataset.guard === "edited";
  form.addEventListener("input", () => { edited = true; });
  form.addEventListener("submit", () => { edited = false; });
  addEventListener("beforeunload", (event) => { if (edited) event.preventDefault(); });
}
