// Why a device got in, or not: its last attempts, check by check, and what to do next.

import { management } from "../api.js";
import { h } from "../dom.js";
import { badge, button, card, empty, head } from "../parts.js";
import { attemptElement } from "../story.js";
import { ATTESTATIONS, whole } from "../words.js";

export async function page(context) {
  const { body } = await management("GET", `${context.resource.id}/attempts/${encodeURIComponent(context.id)}`);
  const acts = [button("Refresh", context.reload)];
  if (body.enrollment) acts.unshift(h("a", { class: "button", href: context.at("enrollment", context.id) }, "Its enrollment"));
  const newest = body.attempts[0]?.outcome.result;
  const tone = newest === "assigned" ? "good" : newest ? "next" : "";
  return [
    head(body.registrationId, { up: { href: context.at("live"), word: "Live" }, acts }),
    h("div", { class: `note ${tone}` }, h("strong", {}, "What to do next"), h("span", {}, body.next)),
    card("As it stands", facts(body, context)),
    h("section", { class: "card flush" }, h("h2", {}, "Last attempts"), body.attempts.length
      ? body.attempts.map((attempt, at) => attemptElement(attempt, null, at === 0))
      : empty("No attempt is known", "Check that the device connects to this server's name and port, trusts its root certificate, and sends this registration ID and ID scope.")),
  ];
}

function facts({ enrollment, registration }, context) {
  const enrolled = enrollment
    ? [`individually, ${ATTESTATIONS[enrollment.attestation] ?? enrollment.attestation} `, badge(enrollment.enabled ? "enabled" : "disabled")]
    : "not by itself; a group may admit it";
  const registered = registration
    ? [badge(registration.status), " ", registration.assignedHub && `on ${registration.assignedHub} as ${registration.deviceId}, since ${whole(registration.lastUpdatedDateTimeUtc)}`]
    : "never";
  return h("dl", { class: "facts" },
    h("dt", {}, "Enrolled"), h("dd", {}, enrolled),
    h("dt", {}, "Registered"), h("dd", {}, registered),
    registration?.enrollmentGroupId && [h("dt", {}, "Group"), h("dd", {}, h("a", { href: context.at("group", registration.enrollmentGroupId) }, registration.enrollmentGroupId))]);
}
