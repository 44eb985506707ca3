// What htmx does not do: keys, copying, and the warning before a form is left. Every page
// works without it.
"use strict";

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard.writeText(copy.parentElement.querySelector("code").textContent);
    say("Copied.");
  }
});

// say tells screen readers what has changed.
function say(text) {
  document.getElementById("live").textContent = text;
}

// A filter hides the choices that do not have its text.
document.addEventListener("input", (event) => {
  const filter = event.target.closest("[data-filter]");
  if (!filter) return;
  const wanted = filter.value.trim().toLowerCase();
  let shown = 0;
  for (const choice of document.querySelectorAll(filter.dataset.filter + " label")) {
    choice.hidden = !choice.innerText.toLowerCase().includes(wanted) && !choice.textContent.toLowerCase().includes(wanted);
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
