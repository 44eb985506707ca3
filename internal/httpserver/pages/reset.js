// The token stands in the fragment, which is sent to no server and in no Referer.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);

const form = document.getElementById("form");
const ask = document.getElementById("ask");
const outcome = document.getElementById("outcome");

function tell(text) {
  outcome.textContent = text;
}

function post(path, body) {
  return fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

form.hidden = !token;
ask.hidden = !!token;

ask.addEventListener("submit", async (event) => {
  event.preventDefault();
  tell("");
  try {
    const answer = await post("/api/v2/password/forgot", { email: document.getElementById("email").value });
    if (answer.ok) {
      ask.hidden = true;
      tell("If there is a profile with this address, a mail is on its way to it.");
      return;
    }
    const problem = await answer.json();
    tell((problem.errors || []).map((e) => "The address " + e.message + ".").join(" ") || problem.detail);
  } catch {
    tell("The service cannot be reached at the moment. Try again.");
  }
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = document.getElementById("password").value;
  if (password !== document.getElementById("again").value) {
    tell("The two passwords differ.");
    return;
  }
  tell("");
  try {
    const answer = await post("/api/v2/password/reset", { token, password });
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
