// Enrollments or groups: found by the beginning of their IDs, page by page.

import { KINDS } from "../api.js";
import { h } from "../dom.js";
import { badge, button, command, empty, head } from "../parts.js";
import { finder } from "./finder.js";
import { ATTESTATIONS, moment, whole } from "../words.js";

const LEADS = {
  enrollment: "Each admits one device.",
  group: "Each admits every device whose key or certificate comes from it.",
};

export function page(context, kind) {
  const { plural, one } = KINDS[kind];
  const acts = [
    kind === "enrollment" && h("a", { class: "button", href: context.at("import") }, "Import"),
    h("a", { class: "button main", href: context.at(`new-${kind}`) }, `New ${one}`),
  ];
  const columns = ["ID", "Attestation", "Status", kind === "enrollment" ? "Registration" : "Allocation", "Changed"];
  return [head(plural, { lead: LEADS[kind], acts }), finder(context, {
    kind, columns, noun: KINDS[kind].noun, row: (document) => row(context, kind, document), none: () => nothing(context, kind),
  })];
}

function row(context, kind, document) {
  const id = document[KINDS[kind].id], changed = document.lastUpdatedDateTimeUtc;
  const state = document.registrationState;
  return [
    h("a", { class: "strong", href: context.at(kind, id) }, id),
    ATTESTATIONS[document.attestation?.type] ?? document.attestation?.type,
    badge(document.provisioningStatus),
    kind === "group" ? document.allocationPolicy ?? "as the service" : state && state.status !== "unassigned"
      ? h("span", {}, badge(state.status), " ", h("span", { class: "soft" }, state.assignedHub ?? "")) : h("span", { class: "soft" }, "not yet"),
    h("time", { datetime: changed, title: changed && whole(changed) }, changed && moment(changed)),
  ];
}

function nothing(context, kind) {
  const { one } = KINDS[kind];
  if (kind === "group") {
    return empty("There is no group yet", "A group admits many devices: by a CA certificate that signed theirs, or by keys derived from one key.",
      h("a", { class: "button main", href: context.at("new-group") }, "New group"));
  }
  const { idScope, deviceProvisioningHostName } = context.resource.properties;
  return empty(`There is no ${one} yet`, "Enroll a first device here or import a file of them. Then let the device register, or be it yourself:",
    command(`usher device provision --registration-id my-first-device --key KEY --id-scope ${idScope} --host ${deviceProvisioningHostName}`),
    h("div", { class: "acts" }, h("a", { class: "button main", href: context.at("new-enrollment") }, "New enrollment"), button("Import a file", () => { location.hash = context.at("import"); })));
}
