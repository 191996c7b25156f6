// The members of an enrollment that most need, as a form. What it does not show stays as it was; the JSON beside it has everything.

import { h, put } from "../dom.js";
import { check, field, select } from "../parts.js";
import { ATTESTATIONS, POLICIES } from "../words.js";

/** A form over a document. `read()` gives the document with what was entered, or fails saying which field is wrong. */
export function form(kind, document, { isNew, hubs }) {
  const parts = [identity(kind, document, isNew), attestation(kind, document, isNew), placement(document, hubs), twin(document)];
  const element = h("div", { class: "stack" }, parts.map((part) => h("section", { class: "card stack" }, h("h2", {}, part.title), part.content)));
  return { element, read: () => parts.reduce((changed, part) => part.read(changed), structuredClone(document)) };
}

function identity(kind, document, isNew) {
  const member = kind === "group" ? "enrollmentGroupId" : "registrationId";
  const id = h("input", { value: document[member] ?? "", required: true, maxlength: 128, autocomplete: "off", spellcheck: "false", readonly: !isNew, autofocus: isNew });
  const deviceId = h("input", { value: document.deviceId ?? "", maxlength: 128, autocomplete: "off", spellcheck: "false" });
  const enabled = h("input", { type: "checkbox", checked: document.provisioningStatus !== "disabled" });
  const edge = h("input", { type: "checkbox", checked: document.capabilities?.iotEdge ?? false });
  const content = [
    h("div", { class: "fields" },
      field(kind === "group" ? "Group ID" : "Registration ID", id, "1 to 128 letters, digits and - . _ :"),
      kind === "enrollment" && field("Device ID", deviceId, "What it is called on its hub. Empty: the registration ID.")),
    h("div", { class: "fields" },
      check("Enabled", enabled, "A disabled entry keeps its devices out."),
      check("IoT Edge device", edge)),
  ];
  const read = (changed) => {
    changed[member] = id.value.trim();
    if (kind === "enrollment") set(changed, "deviceId", deviceId.value.trim());
    changed.provisioningStatus = enabled.checked ? "enabled" : "disabled";
    changed.capabilities = { ...changed.capabilities, iotEdge: edge.checked };
    return changed;
  };
  return { title: kind === "group" ? "Group" : "Device", content, read };
}

function attestation(kind, document, isNew) {
  const types = Object.entries(ATTESTATIONS).filter(([type]) => kind === "enrollment" || type !== "tpm");
  const chosen = document.attestation?.type ?? "symmetricKey";
  const type = select(types, chosen, { onchange: () => draw() });
  const place = h("div", { class: "stack" });
  const pem = document.attestation?.x509;
  const had = (pem?.clientCertificates ?? pem?.signingCertificates)?.primary?.info;
  const inputs = {
    primaryKey: h("input", { autocomplete: "off", spellcheck: "false", class: "mono" }),
    secondaryKey: h("input", { autocomplete: "off", spellcheck: "false", class: "mono" }),
    certificate: h("textarea", { spellcheck: "false", placeholder: "-----BEGIN CERTIFICATE-----" }),
    reference: h("input", { value: pem?.caReferences?.primary ?? "", autocomplete: "off" }),
    endorsementKey: h("textarea", { spellcheck: "false", value: document.attestation?.tpm?.endorsementKey ?? "" }),
  };
  const draw = () => put(place, attestationFields(kind, type.value, inputs, { isNew, had }));
  draw();
  const read = (changed) => {
    changed.attestation = readAttestation(kind, type.value, inputs, changed.attestation);
    return changed;
  };
  return { title: "How it proves itself", content: [h("div", { class: "fields" }, field("Attestation", type)), place], read };
}

function attestationFields(kind, type, inputs, { isNew, had }) {
  if (type === "symmetricKey") {
    const hint = isNew ? "Base64. Empty: usher makes one." : "Base64. Empty: it stays as it is.";
    return h("div", { class: "fields" }, field("Primary key", inputs.primaryKey, hint), field("Secondary key", inputs.secondaryKey, hint));
  }
  if (type === "x509") {
    const kept = had ? `Now ${had.subjectName}, until ${had.notAfterUtc}. Empty: it stays.` : "PEM.";
    const label = kind === "group" ? "CA certificate, root or intermediate" : "The device's certificate";
    return [field(label, inputs.certificate, kept), field("Or the name of an uploaded CA certificate", inputs.reference)];
  }
  return field("Endorsement key", inputs.endorsementKey, "Base64 of TPM2B_PUBLIC, as usher device tpm prints it.");
}

function readAttestation(kind, type, inputs, before) {
  const text = (name) => inputs[name].value.trim();
  const same = before?.type === type ? before : { type };
  if (type === "symmetricKey") {
    const keys = { primaryKey: text("primaryKey") || undefined, secondaryKey: text("secondaryKey") || undefined };
    return { type, symmetricKey: { ...same.symmetricKey, ...JSON.parse(JSON.stringify(keys)) } };
  }
  if (type === "tpm") return { ...same, tpm: { ...same.tpm, endorsementKey: text("endorsementKey") } };
  if (text("reference")) return { type, x509: { caReferences: { ...same.x509?.caReferences, primary: text("reference") } } };
  if (!text("certificate") && same.x509 && !same.x509.caReferences) return same;
  const pair = { primary: { certificate: text("certificate") } };
  return { type, x509: kind === "group" ? { signingCertificates: pair } : { clientCertificates: pair } };
}

function placement(document, hubs) {
  const policies = [["", "As the service says"], ...["hashed", "geoLatency", "static", "custom"].map((name) => [name, POLICIES[name]])];
  const policy = select(policies, document.allocationPolicy ?? "", { onchange: () => draw() });
  const boxes = hubs.map((name) => h("input", { type: "checkbox", value: name, checked: (document.iotHubs ?? []).includes(name) || document.iotHubHostName === name }));
  const url = h("input", { type: "url", value: document.customAllocationDefinition?.webhookUrl ?? "", autocomplete: "off" });
  const again = select([["keep", "Keep its hub and its data"], ["migrate", "Assign anew, move its data"], ["reset", "Assign anew, begin with the initial twin"]], reprovision(document.reprovisionPolicy));
  const custom = h("div", { class: "fields" }, field("Webhook", url, "Asked by HTTPS with the contract of Azure Functions. **** stands for what is kept and not shown."));
  const draw = () => { custom.hidden = policy.value !== "custom"; };
  draw();
  const content = [
    h("div", { class: "fields" }, field("Allocation", policy), field("When the device comes again", again)), custom,
    h("fieldset", {}, h("legend", {}, "Hubs to choose from"), h("small", { class: "soft" }, "None chosen: all that the service has."),
      hubs.length ? boxes.map((box, at) => check(hubs[at], box)) : h("p", {}, "No hub is linked.")),
  ];
  const read = (changed) => {
    set(changed, "allocationPolicy", policy.value);
    set(changed, "iotHubHostName", "");
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    set(changed, "iotHubs", chosen.length ? chosen : "");
    set(changed, "customAllocationDefinition", policy.value === "custom" ? { apiVersion: "2021-10-01", ...changed.customAllocationDefinition, webhookUrl: url.value } : "");
    changed.reprovisionPolicy = { updateHubAssignment: again.value !== "keep", migrateDeviceData: again.value === "migrate" };
    return changed;
  };
  return { title: "Where it goes", content, read };
}

function reprovision(policy) {
  if (!policy || policy.migrateDeviceData) return policy && !policy.updateHubAssignment ? "keep" : "migrate";
  return policy.updateHubAssignment ? "reset" : "keep";
}

function twin(document) {
  const text = (value) => (value && Object.keys(value).length ? JSON.stringify(value, null, 2) : "");
  const tags = h("textarea", { value: text(document.initialTwin?.tags), spellcheck: "false" });
  const desired = h("textarea", { value: text(document.initialTwin?.properties?.desired), spellcheck: "false" });
  const content = h("div", { class: "fields" }, field("Tags", tags, "A JSON object, or nothing."), field("Desired properties", desired, "A JSON object, or nothing."));
  const read = (changed) => {
    const [tagged, wished] = [object(tags, "Tags"), object(desired, "Desired properties")];
    if (tagged || wished || changed.initialTwin) changed.initialTwin = { tags: tagged ?? {}, properties: { desired: wished ?? {} } };
    return changed;
  };
  return { title: "Initial twin", content, read };
}

function object(input, label) {
  if (!input.value.trim()) return null;
  let value = null;
  try {
    value = JSON.parse(input.value);
  } catch {
    // Told below.
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    input.focus();
    throw Object.assign(new Error(`${label} must be a JSON object.`), { next: "Write it as {\"name\": \"value\"}, or leave it empty." });
  }
  return value;
}

function set(document, member, value) {
  if (value === "") delete document[member];
  else document[member] = value;
}
