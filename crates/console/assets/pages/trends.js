// Plots: registrations and refusals over time, refusals by cause, latency by hub, operations by month.

import { read } from "../api.js";
import { bars, columns } from "../chart.js";
import { h, put } from "../dom.js";
import { card, choice, head } from "../parts.js";
import { clock, lasted, number, whole } from "../words.js";

/** What is shown: so many columns of so many minutes. */
const RANGES = { hour: { columns: 60, minutes: 1 }, day: { columns: 48, minutes: 30 } };
const EVERY_MS = 15_000;

export async function page(context) {
  const place = h("div", { class: "stack" }), state = { range: "hour", told: null };
  const draw = () => put(place, plots(state));
  const ask = async () => {
    state.told = await read(context.name, "trends");
    // Who has opened a table of figures reads on undisturbed.
    if (context.isShown() && !place.querySelector("details[open]")) draw();
  };
  await ask();
  const timer = setInterval(() => document.hidden || ask().catch(() => {}), EVERY_MS);
  context.onLeave(() => clearInterval(timer));
  const range = choice("Time", [["hour", "Last hour"], ["day", "Last day"]], "hour", (chosen) => {
    state.range = chosen;
    draw();
  });
  const lead = `Registrations are those of this node since it started, ${whole(state.told.nodeStarted * 1000)}, a day at the most. Operations are those of the whole service.`;
  return [head("Trends", { lead, acts: [range] }), place];
}

function plots({ told, range }) {
  const { columns: count, minutes: step } = RANGES[range];
  const from = (Math.floor(told.now / 60 / step) + 1 - count) * step * 60;
  const minutes = told.minutes.filter((minute) => minute.at >= from);
  const refusedIn = (minute) => Object.values(minute.refused).reduce((sum, one) => sum + one, 0);
  const points = Array.from({ length: count }, (_, at) => ({ label: clock(from + at * step * 60), values: [0, 0] }));
  for (const minute of minutes) {
    const point = points[Math.floor((minute.at - from) / 60 / step)];
    if (point) point.values = [point.values[0] + minute.assigned, point.values[1] + refusedIn(minute)];
  }
  const months = told.months.toReversed().map(({ month, operations }) => ({ label: month, values: [operations] }));
  return [
    card("Registrations", columns("Registrations", ["assigned", "refused or failed"], points)),
    h("div", { class: "grid" },
      card("Refusals by cause", causes(minutes)),
      card("Time until assigned, by hub", latencies(minutes))),
    card("Operations by month", columns("Operations by month", ["operations"], months)),
  ];
}

function causes(minutes) {
  const sums = new Map();
  for (const { refused } of minutes) for (const [cause, count] of Object.entries(refused)) sums.set(cause, (sums.get(cause) ?? 0) + count);
  return sums.size ? bars("Refusals by cause", [...sums], "s2") : h("p", { class: "soft" }, "No device was refused in this time.");
}

function latencies(minutes) {
  const hubs = new Map();
  for (const minute of minutes) {
    for (const [hub, steps] of Object.entries(minute.hubs)) {
      const sum = hubs.get(hub) ?? steps.map(() => 0);
      hubs.set(hub, sum.map((count, at) => count + steps[at]));
    }
  }
  if (hubs.size === 0) return h("p", { class: "soft" }, "No device was assigned in this time.");
  const rows = [...hubs].map(([hub, steps]) => {
    const [middle, slow] = [quantile(steps, 0.5), quantile(steps, 0.95)];
    return [hub, middle, `median ≤ ${lasted(middle)}, 95 % ≤ ${lasted(slow)}, ${number(steps.reduce((sum, one) => sum + one, 0))} devices`];
  });
  return bars("Time until assigned, by hub", rows);
}

/** The upper end of the step, in ms, that this share of all falls into or below. */
function quantile(steps, share) {
  const total = steps.reduce((sum, one) => sum + one, 0);
  let seen = 0;
  const at = steps.findIndex((count) => (seen += count) >= total * share);
  return 2 ** Math.max(at, 0);
}
