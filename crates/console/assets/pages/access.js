// Who may use the service API: its shared access policies. Keys are fetched only when somebody asks to see them.

import { management } from "../api.js";
import { h, put } from "../dom.js";
import { button, card, copy, head, problem, table } from "../parts.js";

export function page(context) {
  const place = h("div", { class: "stack" });
  const show = button("Show policies and keys", async () => {
    try {
      const { body } = await management("POST", `${context.resource.id}/listkeys`);
      show.textContent = "Hide";
      show.onclick = context.reload;
      put(place, body.value.map((policy) => policyCard(context, policy)));
    } catch (failure) {
      put(place, problem(failure));
    }
  }, "main");
  const lead = "Azure's service SDKs and az use the service API with one of these policies. Whoever has a key can use it until it is replaced.";
  return [head("Access", { lead, acts: [show] }), place,
    card("What the rights mean", table("Rights", ["Right", "Lets its holder"], [
      ["ServiceConfig", "read the service's configuration"], ["EnrollmentRead", "read enrollments and groups"], ["EnrollmentWrite", "make, change and delete them, and read their keys"],
      ["RegistrationStatusRead", "read registrations"], ["RegistrationStatusWrite", "delete them"], ["DeviceConnect", "nothing here: devices prove themselves"],
    ]).element)];
}

function policyCard(context, { keyName, primaryKey, secondaryKey, rights }) {
  const host = context.resource.properties.serviceOperationsHostName;
  const string = (key) => `HostName=${host};SharedAccessKeyName=${keyName};SharedAccessKey=${key}`;
  return card(keyName, h("dl", { class: "facts" },
    h("dt", {}, "Rights"), h("dd", {}, rights),
    h("dt", {}, "Connection string"), h("dd", {}, copy(string(primaryKey), "the connection string")),
    h("dt", {}, "With the secondary key"), h("dd", {}, copy(string(secondaryKey), "the connection string with the secondary key"))));
}
