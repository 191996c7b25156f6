// One enrollment or group: made, changed, enabled, disabled, deleted. A change says which version it is of, so that none is lost.

import { KINDS, service } from "../api.js";
import { h, put } from "../dom.js";
import { ask, badge, button, card, confirmDelete, copy, field, head, problem, toast } from "../parts.js";
import { form } from "./form.js";

const pathOf = (kind, id) => `${KINDS[kind].path}/${encodeURIComponent(id)}`;
const hubNames = (context) => context.resource.properties.iotHubs.map((hub) => hub.name);

/** A new one. */
export function blank(context, kind) {
  const { plural, list, one } = KINDS[kind];
  const title = head(`New ${one}`, { up: { href: context.at(list), word: plural } });
  return [title, editor(context, kind, { attestation: { type: "symmetricKey" } }, true)];
}

/** One that is there. */
export async function page(context, kind) {
  const { body } = await service(context.name, "GET", pathOf(kind, context.id));
  const { plural, list, one } = KINDS[kind], id = body[KINDS[kind].id], off = body.provisioningStatus === "disabled";
  const told = h("div", {});
  const acts = [
    kind === "enrollment" && h("a", { class: "button", href: context.at("device", id) }, "Explain"),
    body.attestation?.type === "symmetricKey" && button("Show keys", () => keys(context, kind, id)),
    button(off ? "Enable" : "Disable", () => toggle(context, kind, body, told)),
    button("Delete", () => remove(context, kind, body, id), "bad"),
  ];
  const lead = off ? `This ${one} is disabled: its devices are turned away.` : "";
  const title = head(id, { up: { href: context.at(list), word: plural }, lead, acts });
  return [title, told, editor(context, kind, body, false), kind === "group" && members(context, id)];
}

/** The form and the JSON, each with what was entered in the other. */
function editor(context, kind, document, isNew) {
  const place = h("div", { class: "stack" }), told = h("div", {});
  const state = { document, view: null };
  const text = h("textarea", { class: "tall", spellcheck: "false" });
  const views = {
    form: () => {
      state.view = form(kind, state.document, { isNew, hubs: hubNames(context) });
      return state.view.element;
    },
    json: () => {
      text.value = JSON.stringify(state.document, null, 2);
      state.view = { read: () => parsed(text.value) };
      return card(null, field("The whole document", text, "As the service API takes it. Keys are not in it; left out, they stay."));
    },
  };
  const tab = (name, word) => h("button", { type: "button", role: "tab", "aria-selected": String(name === "form"), onclick: (event) => {
    try {
      state.document = state.view.read();
      put(told);
    } catch (failure) {
      put(told, problem(failure));
      return;
    }
    [...event.target.parentElement.children].forEach((one) => one.setAttribute("aria-selected", String(one === event.target)));
    put(place, views[name]());
  } }, word);
  put(place, views.form());
  const send = h("button", { type: "submit", class: "main" }, isNew ? "Create" : "Save");
  return h("form", { class: "stack", onsubmit: async (event) => {
    event.preventDefault();
    send.disabled = true;
    await save(context, kind, state, told, isNew);
    send.disabled = false;
  } }, h("div", { class: "tabs", role: "tablist", "aria-label": "How to edit" }, tab("form", "Form"), tab("json", "JSON")), place, told,
  h("div", { class: "acts" }, send, h("a", { class: "button", href: context.at(KINDS[kind].list) }, "Cancel")));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (why) {
    throw Object.assign(new Error(`This is not JSON: ${why.message}.`), { next: "Mend it; nothing was sent." });
  }
}

async function save(context, kind, state, told, isNew) {
  const { id: member, one } = KINDS[kind];
  try {
    const document = state.view.read();
    state.document = document;
    if (isNew) {
      // Bulk creation is the one call that refuses what is there already.
      const { body } = await service(context.name, "POST", KINDS[kind].path, { body: { mode: "create", [kind === "group" ? "enrollmentGroups" : "enrollments"]: [document] } });
      if (!body.isSuccessful) throw refused(body.errors[0], one);
    } else {
      await service(context.name, "PUT", pathOf(kind, document[member]), { body: document, headers: { "if-match": document.etag } });
    }
    toast(isNew ? `${document[member]} is enrolled.` : "Saved.");
    if (isNew) location.hash = context.at(kind, document[member]);
    else context.reload();
  } catch (failure) {
    put(told, failure.status === 412 ? conflict(context, kind, state, told) : problem(failure));
    told.scrollIntoView({ block: "nearest" });
  }
}

function refused(error, one) {
  const exists = Math.floor(error.errorCode / 1000) === 409;
  return Object.assign(new Error(exists ? `There is a ${one} of this ID already.` : error.errorStatus), { next: exists ? "Choose another ID, or open the one that is there." : "Nothing was saved." });
}

/** Somebody else saved in between: what now? */
function conflict(context, kind, state, told) {
  const overwrite = async () => {
    try {
      await service(context.name, "PUT", pathOf(kind, state.document[KINDS[kind].id]), { body: state.document, headers: { "if-match": "*" } });
      toast("Saved over the other change.");
      context.reload();
    } catch (failure) {
      put(told, problem(failure));
    }
  };
  return h("div", { class: "note warn", role: "alert" },
    h("strong", {}, "Somebody else has changed this since you opened it."),
    h("span", {}, "Nothing of yours was saved. Load the version that is stored now and repeat your change, or save yours over it."),
    h("div", { class: "acts" }, button("Load what is stored", context.reload), button("Save mine over it", overwrite, "bad")));
}

async function toggle(context, kind, document, told) {
  const status = document.provisioningStatus === "disabled" ? "enabled" : "disabled";
  try {
    await service(context.name, "PUT", pathOf(kind, document[KINDS[kind].id]), { body: { ...document, provisioningStatus: status }, headers: { "if-match": document.etag } });
    toast(`It is ${status}.`);
    context.reload();
  } catch (failure) {
    put(told, failure.status === 412 ? conflict(context, kind, { document: { ...document, provisioningStatus: status } }, told) : problem(failure));
  }
}

async function keys(context, kind, id) {
  let content;
  try {
    const { body } = await service(context.name, "POST", `${pathOf(kind, id)}/attestationmechanism`);
    const { primaryKey, secondaryKey } = body.symmetricKey;
    content = h("dl", { class: "facts" }, h("dt", {}, "Primary key"), h("dd", {}, copy(primaryKey, "the primary key")), h("dt", {}, "Secondary key"), h("dd", {}, copy(secondaryKey, "the secondary key")));
  } catch (failure) {
    content = problem(failure);
  }
  const note = kind === "group" ? "A device's own key is derived from the group's: base64 of HMAC-SHA-256 of its registration ID." : "Whoever has a key is this device.";
  await ask(`Keys of ${id}`, { content: [h("p", {}, note), content], submit: "Done" });
}

async function remove(context, kind, document, id) {
  const { one, list } = KINDS[kind];
  const text = `${one === "group" ? "Its devices" : "The device"} cannot register any more. What is on a hub stays there.`;
  const done = await confirmDelete(`Delete the ${one} ${id}?`, text, () =>
    service(context.name, "DELETE", pathOf(kind, id), { headers: { "if-match": document.etag } }));
  if (!done) return;
  toast(`${id} is deleted.`);
  location.hash = context.at(list);
}

/** The devices that came by a group. */
function members(context, id) {
  const place = h("section", { class: "card" }, h("h2", {}, "Its devices"));
  service(context.name, "POST", `/registrations/${encodeURIComponent(id)}/query`, { headers: { "x-ms-max-item-count": "50" } }).then(({ body, headers }) => {
    const more = headers.get("x-ms-continuation") && h("p", {}, h("small", { class: "soft" }, "These are the first 50; find others among the registrations."));
    place.append(body.length === 0 ? h("p", { class: "soft" }, "None has come yet.") : h("ul", { class: "rows" }, body.map((one) => h("li", {},
      h("a", { class: "strong", href: context.at("device", one.registrationId) }, one.registrationId), h("span", {}, badge(one.status), " ", h("span", { class: "soft" }, one.assignedHub ?? ""))))), more || "");
  }, (failure) => place.append(problem(failure)));
  return place;
}
