// What became of devices: found by the beginning of their IDs, looked up, deleted.

import { service } from "../api.js";
import { h } from "../dom.js";
import { badge, button, confirmDelete, empty, head, toast } from "../parts.js";
import { finder } from "./finder.js";
import { moment, whole } from "../words.js";

const COLUMNS = ["Registration ID", "Status", "Hub", "Device ID", "Changed", ""];

export function page(context) {
  const lead = "A device makes its registration by registering. Deleted, it is as if the device came for the first time.";
  return [head("Registrations", { lead }), finder(context, {
    kind: "registration", columns: COLUMNS, noun: "registration", row: (one) => row(context, one),
    none: () => empty("No device has registered yet", "As soon as one does, it is listed here.", h("a", { class: "button", href: context.at("live") }, "Watch live")),
  })];
}

function row(context, one) {
  return [
    h("a", { class: "strong", href: context.at("device", one.registrationId) }, one.registrationId),
    badge(one.status),
    one.assignedHub ?? h("span", { class: "soft" }, one.errorMessage ?? "none"),
    one.deviceId ?? "",
    h("time", { datetime: one.lastUpdatedDateTimeUtc, title: whole(one.lastUpdatedDateTimeUtc) }, moment(one.lastUpdatedDateTimeUtc)),
    button("Delete", (event) => remove(context, one, event.target.closest("tr")), "small bare bad"),
  ];
}

async function remove(context, one, line) {
  const text = `The device stays on ${one.assignedHub ?? "its hub"}. When it registers again, it is assigned as if for the first time.`;
  const done = await confirmDelete(`Delete the registration ${one.registrationId}?`, text, () =>
    service(context.name, "DELETE", `/registrations/${encodeURIComponent(one.registrationId)}`, { headers: { "if-match": one.etag } }));
  if (!done) return;
  line.remove();
  toast(`The registration ${one.registrationId} is deleted.`);
}
