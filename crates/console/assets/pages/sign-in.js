// Signing in: a page at the beginning, a dialog where a session ends while somebody works.

import { signIn } from "../api.js";
import { h, put } from "../dom.js";
import { ask, command, field, problem } from "../parts.js";

const WHERE = "Of usher dev it is management.token in .usher/dev.json; of usher serve the token of [admin]. A token of your OIDC issuer counts too.";

function tokenInput() {
  return h("input", { type: "password", autocomplete: "current-password", required: true, name: "token", spellcheck: "false", autofocus: true });
}

/** The page; `done` is called once there is a session. Where there is an issuer, its log-in page is offered too. */
export function signInPage(done, issuer) {
  const input = tokenInput(), told = h("div", {});
  if (new URLSearchParams(location.search).get("sign-in") === "failed") {
    put(told, problem({ message: "The issuer's log-in did not open the console.", next: "The server's log says why. Try again, or sign in with the admin token." }));
    history.replaceState(null, "", "/console/");
  }
  const send = h("button", { type: "submit", class: "main" }, "Sign in");
  const form = h("form", { class: "stack", onsubmit: async (event) => {
    event.preventDefault();
    send.disabled = true;
    try {
      await signIn(input.value);
      done();
    } catch (failure) {
      put(told, problem(failure));
      input.select();
      input.focus();
    }
    send.disabled = false;
  } }, field("Admin token", input, WHERE), told, send,
    issuer && h("a", { class: "button", href: "api/oidc" }, "Sign in with your organisation"));
  queueMicrotask(() => input.focus());
  return h("main", { class: "gate", id: "main" }, h("div", { class: "card" },
    h("div", { class: "brand" }, h("img", { src: "icon.svg", alt: "" }), h("div", {}, h("h1", {}, "usher"), h("p", { class: "soft" }, "Device provisioning"))),
    form,
    h("details", { class: "plain" }, h("summary", {}, "Show me how to find the token"), command("python3 -c \"import json; print(json.load(open('.usher/dev.json'))['management']['token'])\""))));
}

let asking = null;

/** The dialog; resolves once there is a session again. Many calls at once share it. */
export function signInDialog() {
  asking ??= (async () => {
    const input = tokenInput();
    const content = [h("p", {}, "Your session is over. Sign in again to go on; nothing on this page is lost."), field("Admin token", input, WHERE)];
    const done = await ask("Sign in", { content, submit: "Sign in", onsubmit: () => signIn(input.value) });
    asking = null;
    if (!done) location.reload();
  })();
  return asking;
}
