// The way to the server: one function, with the session's token against forgery on every change.

const MANAGEMENT_VERSION = "api-version=2021-10-15";
const SERVICE_VERSION = "api-version=2021-10-01";

let csrf = "";
let askForSession = null;

/** What went wrong, and what to do about it where that is known. */
export class Failure extends Error {
  constructor(status, message, next = "") {
    super(message);
    this.status = status;
    this.next = next;
  }
}

/** `ask` is called when the session is over; it resolves once there is another. */
export function onSignedOut(ask) {
  askForSession = ask;
}

/** Calls the console's API at `path`; answers `{ body, headers, status }`. */
export async function call(method, path, { body, headers = {} } = {}, again = true) {
  const init = { method, headers: { ...headers }, credentials: "same-origin" };
  if (method !== "GET") init.headers["x-usher-csrf"] = csrf;
  if (body !== undefined) {
    init.body = typeof body === "string" ? body : JSON.stringify(body);
    init.headers["content-type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(`/console/api/${path}`, init);
  } catch {
    throw new Failure(0, "The server does not answer.", "Check that usher is running and that this browser can reach it, then try again.");
  }
  if (response.status === 401 && again && askForSession) {
    await askForSession();
    return call(method, path, { body, headers }, false);
  }
  const text = await response.text();
  const told = parsed(text);
  if (!response.ok) throw failure(response, told);
  return { body: told, headers: response.headers, status: response.status };
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** The three APIs behind the console tell errors in three shapes. */
function failure(response, told) {
  const message = told?.error?.message ?? told?.message ?? `The server answered ${response.status} without a reason.`;
  return new Failure(response.status, message.replace(/\s*TrackingId:.*$/i, ""), told?.next ?? "");
}

/** The session, where there is one; its token is kept for later calls. */
export async function session() {
  const { body } = await call("GET", "session", {}, false);
  csrf = body.csrf ?? "";
  return body;
}

export async function signIn(token) {
  const { body } = await call("POST", "session", { body: { token } }, false);
  csrf = body.csrf;
  return body;
}

export async function signOut() {
  await call("DELETE", "session", {}, false);
  csrf = "";
}

const segment = encodeURIComponent;

/** The management API, by its own paths. */
export function management(method, path, options) {
  return call(method, `management${path}?${MANAGEMENT_VERSION}`, options);
}

/** All services, as the management API describes them. */
export async function services() {
  const list = `/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Devices/provisioningServices`;
  return (await management("GET", list)).body.value;
}

/** A service's service API, by its own paths. */
export function service(name, method, path, options) {
  return call(method, `services/${segment(name)}/api${path}?${SERVICE_VERSION}`, options);
}

/** What the console reads beside those: counts, hubs, feed, trends, find. */
export async function read(name, what, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = pairs.map(([key, value]) => `${key}=${segment(value)}`).join("&");
  return (await call("GET", `services/${segment(name)}/${what}${text ? `?${text}` : ""}`)).body;
}

/** What differs between individual enrollments and groups. */
export const KINDS = {
  enrollment: { path: "/enrollments", id: "registrationId", list: "enrollments", one: "enrollment", noun: "enrollment", plural: "Enrollments" },
  group: { path: "/enrollmentGroups", id: "enrollmentGroupId", list: "groups", one: "group", noun: "group", plural: "Groups" },
};
