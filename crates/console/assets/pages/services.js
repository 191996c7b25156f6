// All services of the installation: make one, go into one, delete one.

import { management } from "../api.js";
import { at } from "../app.js";
import { h } from "../dom.js";
import { ask, button, confirmDelete, copy, empty, field, head, table, toast } from "../parts.js";
import { plural, POLICIES } from "../words.js";

export function page(context) {
  const acts = [button("New service", () => create(context), "main")];
  const lead = "A provisioning service has its own ID scope, enrollments, hubs and keys.";
  return [head("Services", { lead, acts }), h("section", { class: "card flush" }, context.services.length ? list(context) : nothing(context))];
}

function list(context) {
  const rows = context.services.map((service) => [
    h("a", { class: "strong", href: at(service.name) }, service.name),
    copy(service.properties.idScope, "the ID scope"),
    service.properties.serviceOperationsHostName,
    plural(service.properties.iotHubs.length, "hub"),
    POLICIES[service.properties.allocationPolicy] ?? service.properties.allocationPolicy,
    button("Delete", () => remove(context, service), "small bare bad"),
  ]);
  return table("Provisioning services", ["Name", "ID scope", "Service API", "Hubs", "Allocation", ""], rows).element;
}

function nothing(context) {
  return empty("There is no service yet", "Make one; its devices are then flashed with its ID scope.", button("New service", () => create(context), "main"));
}

async function create(context) {
  const name = h("input", { required: true, minlength: 3, maxlength: 50, pattern: "[A-Za-z0-9][A-Za-z0-9\\-]*[A-Za-z0-9]", autocomplete: "off", autofocus: true });
  const group = h("input", { required: true, maxlength: 90, value: context.services[0]?.resourcegroup ?? "usher", autocomplete: "off" });
  const content = [
    field("Name", name, "3 to 50 letters, digits and hyphens. Its service API answers under a host name made of it."),
    field("Resource group", group, "A label for az and Azure's SDKs. Groups are there as soon as they are named."),
  ];
  const done = await ask("New service", { content, submit: "Create", onsubmit: async () => {
    const path = `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/${encodeURIComponent(group.value)}/providers/Microsoft.Devices/provisioningServices/${encodeURIComponent(name.value)}`;
    await management("PUT", path, { body: { location: "local", sku: { name: "S1", capacity: 1 }, properties: {} }, headers: { "if-none-match": "*" } });
  } });
  if (!done) return;
  toast(`${name.value} is there. Link a hub next.`);
  location.hash = at(name.value, "hubs");
}

async function remove(context, service) {
  const text = `All its enrollments, groups and registrations are deleted with it. Its devices stay on their hubs; they cannot be provisioned any more, since the ID scope ${service.properties.idScope} goes too.`;
  const done = await confirmDelete(`Delete the service ${service.name}?`, text,
    () => management("DELETE", service.id, { headers: { "if-match": service.etag } }), service.name);
  if (!done) return;
  toast(`${service.name} is deleted.`);
  context.reload();
}
