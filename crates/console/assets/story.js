// The story of one attempt: a line that opens into its checks, one by one.

import { h, s } from "./dom.js";
import { badge } from "./parts.js";
import { lasted, moment, whole } from "./words.js";

/** A check with its mark. What failed is told by word and sign, not by colour alone. */
function checkElement(check) {
  return h("li", { class: check.passed ? "" : "failed" },
    h("span", { class: "mark", "aria-hidden": "true" }, check.passed ? "✓" : "✗"),
    h("span", { class: "name" }, h("span", { class: "unseen" }, check.passed ? "passed: " : "failed: "), check.name),
    h("span", { class: "detail" }, check.detail));
}

/** In one line: where it led, or what it failed at. */
function summary(attempt) {
  const { outcome } = attempt;
  if (outcome.result === "assigned") return `on ${outcome.hub}`;
  const failed = attempt.checks.findLast((check) => !check.passed);
  return failed ? `${failed.name}: ${failed.detail}` : outcome.told ?? "";
}

/** All that is known of an attempt. */
export function inside(attempt, told = false) {
  const { outcome } = attempt;
  const by = [attempt.transport || "taken over from another node", attempt.peer && `from ${attempt.peer}`, attempt.apiVersion && `API version ${attempt.apiVersion}`];
  return h("div", { class: "inside" },
    !told && outcome.next && h("div", { class: `note ${outcome.result === "assigned" ? "good" : "next"}` }, h("strong", {}, "What to do next"), h("span", {}, outcome.next)),
    h("ol", { class: "checks", "aria-label": "Checks, in order" }, attempt.checks.map(checkElement)),
    h("dl", { class: "facts" },
      h("dt", {}, "When"), h("dd", {}, `${whole(attempt.at)}, took ${lasted(attempt.tookMs)}`),
      h("dt", {}, "Asked for"), h("dd", {}, `${attempt.request} over ${by.filter(Boolean).join(", ")}`),
      h("dt", {}, "ID scope"), h("dd", {}, h("code", {}, attempt.idScope)),
      outcome.told && [h("dt", {}, "The device was told"), h("dd", {}, `${outcome.errorCode ?? ""} ${outcome.told}`)],
      h("dt", {}, "Tracking ID"), h("dd", {}, h("code", {}, attempt.trackingId))));
}

/** The line; `open` shows its checks at once, and not what to do next, which then stands above. With a context the device's name leads to all its attempts. */
export function attemptElement(attempt, context, open = false) {
  const details = h("details", { class: "attempt", "data-device": attempt.registrationId, "data-tracking": attempt.trackingId },
    h("summary", {},
      s("svg", { class: "turn", width: 12, height: 12, viewBox: "0 0 12 12", fill: "none", stroke: "currentColor", "stroke-width": 2, "aria-hidden": "true" }, s("path", { d: "M4 2l4 4-4 4" })),
      h("time", { datetime: attempt.at, title: whole(attempt.at) }, moment(attempt.at)),
      h("span", {}, badge(attempt.outcome.result)),
      h("span", { class: "what" }, h("strong", {}, attempt.registrationId), " ", h("span", { class: "soft" }, summary(attempt))),
      h("small", { class: "soft end" }, [attempt.transport, lasted(attempt.tookMs)].filter(Boolean).join(" · "))));
  const fillIn = () => {
    if (details.childElementCount > 1) return;
    const more = inside(attempt, open);
    if (context) more.append(h("p", {}, h("a", { href: context.at("device", attempt.registrationId) }, `All kept attempts of ${attempt.registrationId}`)));
    details.append(more);
  };
  details.addEventListener("toggle", fillIn);
  if (open) {
    fillIn();
    details.open = true;
  }
  return details;
}
