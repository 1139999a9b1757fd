"""The page behind the set-up link: one form. The token stays in the browser and the request."""

import hashlib
from base64 import b64encode
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_SCRIPT: Final = """
const form = document.querySelector("form"), note = document.querySelector("output");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = new FormData(form), name = given.get("name");
  const body = {token: location.hash.slice(1), password: given.get("password")};
  if (name) body.name = name;
  const answer = await fetch("/api/v1/auth/setup", {
    method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(body),
  });
  if (!answer.ok) { note.textContent = (await answer.json()).detail; return; }
  form.hidden = true;
  history.replaceState(null, "", location.pathname);
  note.textContent = "Done. Log in with this name and password.";
});
"""

_PAGE: Final = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>headgate: set up</title>
<body style="font: 16px sans-serif; max-width: 30em; margin: 4em auto">
<h1>Set up</h1>
<form>
<p><label>Name (leave it empty if you have one already)<br>
<input name="name" autocomplete="username"></label></p>
<p><label>Password, at least 12 characters<br>
<input name="password" type="password" minlength="12" required autocomplete="new-password"></label>
</p>
<button>Set up</button>
</form>
<output></output>
<script>{_SCRIPT}</script>
"""

_HASH: Final = b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
_HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-security-policy": (
        f"default-src 'none'; script-src 'sha256-{_HASH}'; style-src 'unsafe-inline';"
        " connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


async def setup_page(_request: Request) -> Response:
    """Shows the form in which a set-up link is used."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
