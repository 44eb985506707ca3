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
});

// say tells screen readers what has changed.
function say(text) {
  document.getElementById("live").textContent = text;
}
