// What htmx does not do: keys, copying, and the warning before a form is left. Every page
// works without it.
"use strict";

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard.writeText(copy.parentElement.querySelector("code").textContent);
    say("Copied.");
  }
  if (event.target.closest("[data-print]")) print();
});

// say tells screen readers what has changed.
function say(text) {
  document.getElementById("live").textContent = text;
}
