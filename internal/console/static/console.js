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
  if (event.target.closest("[data-print]")) print();
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

// A secret is not kept in a page that "back" brings again.
window.addEventListener("pagehide", () => {
  for (const secret of document.querySelectorAll("[data-secret]")) {
    secret.textContent = "The secret is not shown again.";
  }
});

// say tells screen readers what has changed.
function say(text) {
  document.getElementById("live").textContent = text;
}

// A page that follows events asks for the first page again and again. It rests while nobody
// sees it.
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

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-link]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
    say("The link to this list is copied.");
  } catch {
    say("Your browser does not let the page copy. The link stands in its address bar.");
  }
});

// Menus: a click elsewhere and Escape close them.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.activeElement.closest("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A list that is pasted into the search opens the form for lists.
document.addEventListener("paste", (event) => {
  const paste = document.getElementById("paste");
  const text = event.clipboardData?.getData("text") ?? "";
  if (!paste || event.target.id !== "q" || !/\n\s*\S/.test(text)) return;
  event.preventDefault();
  paste.open = true;
  const list = paste.querySelector("textarea");
  list.value = text;
  list.focus();
  say("This is a list of several lines. Press Find them.");
});

// Rows that are ticked: the box of the page, "all that match" and the number.
function countSelected(form) {
  const boxes = [...form.querySelectorAll("tbody [type=checkbox]")];
  const ticked = boxes.filter((box) => box.checked).length;
  const all = form.querySelector("[name=all]");
  const page = form.querySelector("[data-page]");
  page.checked = boxes.length > 0 && ticked === boxes.length;
  page.indeterminate = ticked > 0 && !page.checked;
  const text = all?.checked ? "All selected" : `${ticked} selected`;
  form.querySelector("[data-selected]").textContent = text;
  say(text);
}
document.addEventListener("change", (event) => {
  const form = event.target.closest("#bulk");
  if (!form || event.target.type !== "checkbox") return;
  if (event.target.matches("[data-page]")) {
    for (const box of form.querySelectorAll("tbody [type=checkbox]")) box.checked = event.target.checked;
  }
  countSelected(form);
});
window.addEventListener("pageshow", () => {
  const form = document.querySelector("#bulk:has(tbody :checked)"); // the browser has ticked them again
  if (form) countSelected(form);
});

// What is new on a page that htmx has changed is said once.
let said = "";
document.addEventListener("htmx:after:swap", () => {
  const text = document.querySelector("[data-say]")?.dataset.say;
  if (text && text !== said) say(text);
  said = text;
});

// An answer that is an error, such as the form to sign in, takes the place of no part of a page.
document.addEventListener("htmx:before:response", (event) => {
  const status = event.detail?.ctx?.response?.status;
  if (!(status >= 400)) return;
  event.preventDefault();
  if (status === 401 || status === 403) location.reload();
  else if (!follows(event)) say("That did not work. Try again in a moment."); // which asks again by itself
});

// The keys of lists and pages. They rest while one types, and where they are switched off.
const keys = {
  "/": ["Search", () => focusOn(document.querySelector("[type=search]"))],
  j: ["Next row", () => moveRow(1)],
  k: ["Row before", () => moveRow(-1)],
  x: ["Select the row", () => currentRow()?.querySelector("[type=checkbox]")?.click()],
  Enter: ["Open the row", null], // the link of the row has the focus
  e: ["Edit", edit],
  "?": ["This list of keys", showKeys],
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  if (document.documentElement.dataset.keys === "off" || typing || event.ctrlKey || event.altKey || event.metaKey ||
      event.isComposing || document.querySelector("dialog[open]")) return;
  const run = Object.hasOwn(keys, event.key) && keys[event.key][1];
  if (!run) return;
  event.preventDefault();
  run();
});

function rows() {
  return [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a[href]"));
}

function currentRow() {
  return document.activeElement.closest("main tbody tr");
}

function moveRow(step) {
  const all = rows();
  const at = all.indexOf(currentRow());
  const next = at < 0 ? all[step > 0 ? 0 : all.length - 1] : all[at + step];
  focusOn(next?.querySelector("a[href]"));
}

function focusOn(element) {
  element?.focus();
  element?.select?.();
  element?.scrollIntoView({ block: "nearest" });
}

function edit() {
  const row = currentRow();
  const link = row ? row.closest("[data-edit]") && row.querySelector("a[href]").href + "/edit"
    : document.querySelector('main .head a[href$="/edit"]')?.href;
  if (link) location.assign(link);
}

function showKeys() {
  const dialog = document.createElement("dialog");
  dialog.className = "keys";
  dialog.setAttribute("aria-labelledby", "keys-title");
  const title = document.createElement("h2");
  title.id = "keys-title";
  title.textContent = "Keys";
  const list = document.createElement("dl");
  for (const [key, [text]] of Object.entries(keys)) {
    const name = document.createElement("dt");
    const letter = document.createElement("kbd");
    letter.textContent = key;
    name.append(letter);
    const what = document.createElement("dd");
    what.textContent = text;
    list.append(name, what);
  }
  const hint = document.createElement("p");
  hint.className = "quiet";
  hint.textContent = "You can switch the keys off on the page about you.";
  const close = document.createElement("button");
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.append(title, list, hint, close);
  document.querySelector("main").append(dialog);
  dialog.showModal();
}
