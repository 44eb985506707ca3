// The token stands in the fragment, which is sent to no server and in no Referer.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);

const form = document.getElementById("form");
const outcome = document.getElementById("outcome");

function tell(text) {
  outcome.textContent = text;
}

if (!token) {
  form.hidden = true;
  tell("This link is not complete. Open the whole link of the mail.");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = document.getElementById("password").value;
  if (password !== document.getElementById("again").value) {
    tell("The two passwords differ.");
    return;
  }
  tell("");
  try {
    const answer = await fetch("/api/v2/password/reset", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, password }),
    });
    if (answer.ok) {
      form.hidden = true;
      tell("Your password is changed. You are signed out everywhere.");
      return;
    }
    const problem = await answer.json();
    const words = (problem.errors || []).map((e) => (e.field === "token" ? "The link " : "The password ") + e.message + ".");
    tell(words.join(" ") || problem.detail);
  } catch {
    tell("The service cannot be reached at the moment. Try again.");
  }
});
