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
