// The token stands in the fragment, which is sent to no server and in no Referer.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);

const form = document.getElementById("form");
const ask = document.getElementById("ask");
const outcome = document.getElementById("outcome");

function tell(text, bad = true) {
  outcome.classList.toggle("bad", bad);
  outcome.textContent = text;
}

function show(wanted) {
  for (const one of [form, ask]) one.hidden = one !== wanted;
  wanted?.querySelector("input").focus();
}

function post(path, body) {
  return fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

show(token ? form : ask);

ask.addEventListener("submit", async (event) => {
  event.preventDefault();
  tell("");
  try {
    const answer = await post("/api/v2/password/forgot", { email: document.getElementById("email").value });
    if (answer.ok) {
      show(null);
      tell("If there is a user with this address, a mail with a link is on its way. It works for one hour.", false);
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
      show(null);
      tell("Your password is changed. You are signed out everywhere.", false);
      const signIn = document.getElementById("signin");
      if (signIn) {
        signIn.textContent = "Sign in";
        signIn.className = "button";
        signIn.focus();
      }
      return;
    }
    const problem = await answer.json();
    if ((problem.errors || []).some((e) => e.field === "token")) show(ask);
    const words = (problem.errors || []).map((e) => (e.field === "token" ? "The link " : "The password ") + e.message + ".");
    tell(words.join(" ") || problem.detail);
  } catch {
    tell("The service cannot be reached at the moment. Try again.");
  }
});
