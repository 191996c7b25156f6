// A service at a glance: what devices need to know, how much it holds, who came last.

import { read } from "../api.js";
import { columns } from "../chart.js";
import { h } from "../dom.js";
import { card, command, copy, empty, head, load } from "../parts.js";
import { attemptElement } from "../story.js";
import { clock, number, POLICIES } from "../words.js";

export function page(context) {
  const { properties } = context.resource;
  const facts = card("For devices and tools", h("dl", { class: "facts" },
    h("dt", {}, "ID scope"), h("dd", {}, copy(properties.idScope, "the ID scope")),
    h("dt", {}, "Device endpoint"), h("dd", {}, copy(properties.deviceProvisioningHostName, "the device endpoint")),
    h("dt", {}, "Service API"), h("dd", {}, copy(properties.serviceOperationsHostName, "the service API's host"), " ", h("a", { href: context.at("access") }, "Keys")),
    h("dt", {}, "Allocation"), h("dd", {}, POLICIES[properties.allocationPolicy] ?? properties.allocationPolicy),
    h("dt", {}, "Resource ID"), h("dd", {}, copy(context.resource.id, "the resource ID"))));
  const figures = load(h("section", { class: "card" }), () => numbers(context));
  const hubs = load(card("Hubs"), () => hubList(context));
  const last = load(h("section", { class: "card flush" }), () => latest(context));
  const hour = load(card(null), () => lastHour(context));
  return Promise.all([figures, hubs, hour, last]).then(([a, b, c, d]) => [head(context.name), a, h("div", { class: "grid" }, facts, h("div", { class: "stack" }, b, c)), d]);
}

async function numbers(context) {
  const [counts, trends] = await Promise.all([read(context.name, "counts"), read(context.name, "trends")]);
  const sum = (pick) => trends.minutes.reduce((total, minute) => total + pick(minute), 0);
  const refused = sum((minute) => Object.values(minute.refused).reduce((total, count) => total + count, 0));
  const figure = (value, word) => h("div", {}, h("strong", {}, number(value)), h("span", {}, word));
  return h("div", { class: "figures" },
    figure(counts.enrollments, "individual enrollments"), figure(counts.enrollmentGroups, "enrollment groups"),
    figure(sum((minute) => minute.assigned), "registrations, last day, this node"), figure(refused, "refused, last day, this node"),
    figure(trends.months[0]?.operations ?? 0, "operations this month"));
}

async function hubList(context) {
  const { value } = await read(context.name, "hubs");
  if (value.length === 0) {
    return [h("h2", {}, "Hubs"), h("p", {}, "No hub is linked: no device can be assigned."), h("p", {}, h("a", { class: "button", href: context.at("hubs") }, "Link a hub"))];
  }
  const rows = value.map((hub) => h("li", {}, h("span", {}, hub.name), h("span", { class: "soft" }, `${Math.round(hub.share * 100)} %`),
    h("progress", { value: hub.share, max: 1, "aria-label": `Share of ${hub.name}` })));
  return [h("div", { class: "title" }, h("h2", {}, "Hubs"), h("a", { href: context.at("hubs") }, "All about them")), h("ul", { class: "rows" }, rows)];
}

/** The last hour in columns of two minutes. */
async function lastHour(context) {
  const { now, minutes } = await read(context.name, "trends");
  const step = 120, from = (Math.floor(now / step) - 29) * step;
  const points = Array.from({ length: 30 }, (_, at) => ({ label: clock(from + at * step), values: [0, 0] }));
  for (const minute of minutes) {
    const point = points[Math.floor((minute.at - from) / step)];
    if (!point) continue;
    point.values[0] += minute.assigned;
    point.values[1] += Object.values(minute.refused).reduce((sum, count) => sum + count, 0);
  }
  return [h("div", { class: "title" }, h("h2", {}, "Last hour"), h("a", { href: context.at("trends") }, "Trends")), columns("Registrations in the last hour", ["assigned", "refused or failed"], points, { half: true })];
}

async function latest(context) {
  const [counts, news] = await Promise.all([read(context.name, "counts"), read(context.name, "feed")]);
  const title = h("div", { class: "title" }, h("h2", {}, "Latest attempts"), h("a", { href: context.at("live") }, "Watch live"));
  if (news.attempts.length > 0) return [title, news.attempts.slice(0, 6).map((attempt) => attemptElement(attempt, context))];
  if (counts.enrollments + counts.enrollmentGroups > 0) return [title, empty("No device has come since this node started", "When one registers, it is here in a second.")];
  return firstSteps(context);
}

function firstSteps(context) {
  const { idScope, deviceProvisioningHostName } = context.resource.properties;
  return empty("Provision a first device", "Enroll it with a symmetric key, then be that device with usher's own client, or run your own with one of Azure's SDKs.",
    h("p", {}, h("a", { class: "button main", href: context.at("new-enrollment") }, "Enroll a device")),
    command(`usher device provision --registration-id my-first-device --key KEY --id-scope ${idScope} --host ${deviceProvisioningHostName}`));
}
