// Numbers, times and results as people read them.

const NUMBER = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const WHOLE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" });

export const number = (value) => NUMBER.format(value);

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** A time within the last day by the clock, else by its date. */
export function moment(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return "";
  return Date.now() - at.getTime() < 20 * 3600 * 1000 ? TIME.format(at) : DAY.format(at);
}

export const whole = (text) => WHOLE.format(new Date(text));

export const clock = (seconds) => TIME.format(new Date(seconds * 1000)).slice(0, 5);

export function lasted(ms) {
  if (ms === 0) return "< 1 ms";
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
}

/** The tone of a result or a status. */
export const TONES = {
  assigned: "good", enabled: "good", closed: "good", assigning: "warn", challenged: "warn", disabled: "warn", patient: "warn", halfOpen: "warn",
  failed: "bad", refused: "bad", open: "bad",
};

export const ATTESTATIONS = { symmetricKey: "Symmetric key", x509: "X.509 certificate", tpm: "TPM" };

export const POLICIES = {
  Hashed: "Evenly weighted", GeoLatency: "Lowest latency", Static: "Static",
  hashed: "Evenly weighted", geoLatency: "Lowest latency", static: "Static: the hubs named here", custom: "Custom: a webhook decides",
};
