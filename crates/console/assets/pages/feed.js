// Attempts as they come in. Asked for every two seconds while the page is looked at.

import { read } from "../api.js";
import { h, put } from "../dom.js";
import { button, choice, command, empty, head } from "../parts.js";
import { attemptElement } from "../story.js";

const EVERY_MS = 2000;
/** Lines kept on the page. */
const KEPT = 300;

export async function page(context) {
  const list = h("div", {}), pulse = h("span", { class: "pulse on", role: "status" }, "Watching");
  const state = { last: 0, seen: new Map(), only: "all", paused: false };
  const pause = button("Pause", () => {
    state.paused = !state.paused;
    pause.textContent = state.paused ? "Go on" : "Pause";
    pulse.classList.toggle("on", !state.paused);
    pulse.textContent = state.paused ? "Paused" : "Watching";
  });
  const filter = choice("Which attempts", [["all", "All"], ["assigned", "Assigned"], ["others", "Not assigned"]], "all", (only) => {
    state.only = only;
    draw(context, state, list);
  });
  await ask(context, state, list, pulse);
  const timer = setInterval(() => {
    if (!state.paused && !document.hidden) ask(context, state, list, pulse);
  }, EVERY_MS);
  context.onLeave(() => clearInterval(timer));
  const lead = "Every attempt to register, as it comes in on this node. Open one for its checks.";
  return [head("Live", { lead, acts: [pulse, pause] }), h("div", {}, filter), h("section", { class: "card flush", "aria-label": "Attempts" }, list)];
}

async function ask(context, state, list, pulse) {
  let news;
  try {
    news = await read(context.name, "feed", { after: state.last });
  } catch (failure) {
    pulse.classList.remove("on");
    pulse.textContent = failure.message;
    return;
  }
  // Another node answered, or this one began anew: its numbers are its own.
  if (news.last < state.last) {
    state.last = 0;
    return;
  }
  if (!pulse.classList.contains("on")) {
    pulse.classList.add("on");
    pulse.textContent = "Watching";
  }
  const first = state.last === 0 && state.seen.size === 0;
  state.last = news.last;
  for (const attempt of news.attempts.toReversed()) {
    state.seen.get(attempt.trackingId)?.element.remove();
    state.seen.delete(attempt.trackingId);
    state.seen.set(attempt.trackingId, { attempt, element: attemptElement(attempt, context) });
  }
  while (state.seen.size > KEPT) state.seen.delete(state.seen.keys().next().value);
  if (first || news.attempts.length > 0) draw(context, state, list);
}

/** New lines come on top; lines that are open stay as they are. */
function draw(context, state, list) {
  const wanted = [...state.seen.values()].filter(({ attempt }) => state.only === "all" || (attempt.outcome.result === "assigned") === (state.only === "assigned"));
  if (wanted.length === 0) {
    put(list, nothing(context, state));
    return;
  }
  const elements = wanted.map(({ element }) => element).reverse();
  const kept = new Set(elements);
  [...list.children].forEach((child) => kept.has(child) || child.remove());
  elements.forEach((element, at) => {
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
  });
}

function nothing(context, state) {
  if (state.only !== "all") return empty("None of these", "Choose All to see the others.");
  const { idScope, deviceProvisioningHostName } = context.resource.properties;
  return empty("No attempt since this node started", "Let a device register, or be one yourself:",
    command(`usher device provision --registration-id my-first-device --key KEY --id-scope ${idScope} --host ${deviceProvisioningHostName}`));
}
