// A service's hubs: shares, health, weights, linking and unlinking; and how a hub is chosen.

import { management, read } from "../api.js";
import { h, put } from "../dom.js";
import { ask, badge, button, card, confirmDelete, empty, field, head, problem, select, table, toast } from "../parts.js";
import { number, POLICIES } from "../words.js";

const EVERY_MS = 5000;

export async function page(context) {
  const list = h("section", { class: "card flush" });
  const draw = async () => {
    const { value } = await read(context.name, "hubs");
    if (context.isShown() && !list.contains(document.activeElement)) put(list, value.length ? hubTable(context, value) : nothing(context));
  };
  await draw();
  // Health and share are live; while somebody is in the table it waits.
  const timer = setInterval(() => document.hidden || document.querySelector("dialog") || draw().catch(() => {}), EVERY_MS);
  context.onLeave(() => clearInterval(timer));
  const lead = "Where devices are sent. Counts are of this node's last day.";
  return [head("Hubs", { lead, acts: [button("Link a hub", () => link(context), "main")] }), list, allocation(context)];
}

function nothing(context) {
  return empty("No hub is linked", "Without one no device can be assigned. Link the hub of usher dev by its name, localhost, or any other by its connection string.",
    button("Link a hub", () => link(context), "main"));
}

function hubTable(context, hubs) {
  const linked = new Map(context.resource.properties.iotHubs.map((hub) => [hub.name, hub]));
  const total = hubs.reduce((sum, hub) => sum + hub.assigned, 0);
  const rows = hubs.map((hub) => [
    h("div", {}, h("strong", {}, hub.name), h("br"), h("small", { class: "soft" }, `${hub.kind}, ${linked.get(hub.name)?.location ?? ""}`)),
    health(hub),
    h("div", { class: "share" }, h("progress", { value: hub.share, max: 1, "aria-label": `Share of ${hub.name} by weight` }), `${Math.round(hub.share * 100)} %`),
    String(linked.get(hub.name)?.allocationWeight ?? ""),
    total ? `${number(hub.assigned)} (${Math.round((hub.assigned / total) * 100)} %)` : "0",
    [button("Change", () => change(context, linked.get(hub.name)), "small"), button("Unlink", () => unlink(context, linked.get(hub.name)), "small bare bad")],
  ]);
  return table("Linked hubs", ["Hub", "Health", "Share by weight", "Weight", "Devices assigned", ""], rows).element;
}

function health({ health: told, kind }) {
  if (kind === "embedded") return badge("in this process", "good");
  if (!told) return badge("not called yet");
  const sorted = told.latenciesMs.toSorted((a, b) => a - b), middle = sorted[Math.floor(sorted.length / 2)];
  const word = { closed: "well", patient: `asked to wait ${told.secondsLeft} s`, open: `down, next try in ${told.secondsLeft} s`, halfOpen: "trying again" }[told.breaker];
  const tone = { closed: "good", patient: "warn", open: "bad", halfOpen: "warn" }[told.breaker];
  const figures = [`${number(told.calls)} calls`, told.failed && `${number(told.failed)} failed`, told.throttled && `${number(told.throttled)} throttled`,
    middle !== undefined && `median ${middle} ms`, told.waiting && `${told.waiting} waiting`];
  return h("div", {}, badge(word, tone), h("br"), h("small", { class: "soft" }, figures.filter(Boolean).join(", ")));
}

/** Writes the service back with another list of hubs or another policy; on the condition that nobody else has changed it. */
async function write(context, properties) {
  const { id, location, etag } = context.resource;
  try {
    await management("PUT", id, { body: { location, properties }, headers: { "if-match": etag } });
  } catch (failure) {
    if (failure.status === 412) failure.next = "Somebody else has changed this service since the page was loaded. Load the page again and repeat your change.";
    throw failure;
  }
}

async function link(context) {
  const connection = h("input", { required: true, autocomplete: "off", spellcheck: "false", autofocus: true });
  const region = h("input", { required: true, value: "local", maxlength: 64, autocomplete: "off" });
  const weight = h("input", { type: "number", min: 0, max: 1000, value: 1 });
  const content = [
    field("Connection string", connection, "HostName=…;SharedAccessKeyName=…;SharedAccessKey=… of an IoT Hub or another usher; mosquitto://user:password@host of a broker; HostName=localhost for the hub in this process."),
    h("div", { class: "fields" }, field("Region", region), field("Weight", weight, "0 to 1000; 0 takes no devices.")),
  ];
  const done = await ask("Link a hub", { content, submit: "Link", onsubmit: () => write(context, { iotHubs: [...context.resource.properties.iotHubs,
    { connectionString: connection.value.trim(), location: region.value.trim(), allocationWeight: Number(weight.value), applyAllocationPolicy: true }] }) });
  if (!done) return;
  toast("The hub is linked.");
  context.reload();
}

async function change(context, hub) {
  const weight = h("input", { type: "number", min: 0, max: 1000, required: true, value: hub.allocationWeight, autofocus: true });
  const region = h("input", { required: true, value: hub.location, maxlength: 64 });
  const applies = h("input", { type: "checkbox", checked: hub.applyAllocationPolicy });
  const content = [h("div", { class: "fields" }, field("Weight", weight, "0 to 1000; 0 takes no devices."), field("Region", region, "For allocation by latency.")),
    h("label", { class: "check" }, applies, h("span", {}, "The service's allocation policy may choose it"))];
  const done = await ask(`Change ${hub.name}`, { content, onsubmit: () => write(context, { iotHubs: context.resource.properties.iotHubs.map((one) => one.name === hub.name
    ? { ...one, allocationWeight: Number(weight.value), location: region.value.trim(), applyAllocationPolicy: applies.checked } : one) }) });
  if (!done) return;
  toast(`${hub.name} is changed; new registrations follow it.`);
  context.reload();
}

async function unlink(context, hub) {
  const text = "Devices that are on it stay there. New ones are not sent to it any more, and a device that is assigned anew goes to another hub.";
  const done = await confirmDelete(`Unlink ${hub.name}?`, text, () => write(context, { iotHubs: context.resource.properties.iotHubs.filter((one) => one.name !== hub.name) }));
  if (!done) return;
  toast(`${hub.name} is unlinked.`);
  context.reload();
}

function allocation(context) {
  const told = h("div", {});
  const policy = select(["Hashed", "GeoLatency", "Static"].map((name) => [name, POLICIES[name]]), context.resource.properties.allocationPolicy);
  const form = h("form", { class: "search", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await write(context, { allocationPolicy: policy.value });
      toast(`Allocation: ${POLICIES[policy.value]}.`);
      context.reload();
    } catch (failure) {
      put(told, problem(failure));
    }
  } }, field("Unless an enrollment says otherwise", policy), h("button", { type: "submit" }, "Save"));
  return card("How a hub is chosen", form, told);
}
