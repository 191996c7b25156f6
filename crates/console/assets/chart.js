// Plots in SVG, each with its figures in a table for who reads rather than sees.

import { h, s } from "./dom.js";
import { table } from "./parts.js";
import { number } from "./words.js";

const HEIGHT = 220, LEFT = 44, RIGHT = 8, TOP = 12, BOTTOM = 26;

/** Drawn about as wide as it is shown, so that its words have the size of words. */
const widthOf = (half) => (innerWidth < 720 ? 330 : half ? 440 : 860);

/** The next round number above: 1, 2 or 5 with zeroes. */
function round(most) {
  if (most <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most);
}

/** Columns over time: `points` of `{ label, values }`, one value for each of `series`; stacked, or beside each other. */
export function columns(title, series, points, { stacked = true, unit = "", half = false } = {}) {
  const WIDTH = widthOf(half);
  const heights = points.map(({ values }) => (stacked ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values, 0)));
  const most = round(Math.max(...heights, 0)), width = (WIDTH - LEFT - RIGHT) / Math.max(points.length, 1);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
  const lines = [0, most / 2, most].map((value) => [
    s("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    s("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, number(value))]);
  const every = Math.max(1, Math.ceil(points.length / (WIDTH / 90)));
  const bars = points.map((point, at) => {
    const gap = Math.min(6, width * 0.18), room = width - gap;
    let below = 0;
    const parts = point.values.map((value, nth) => {
      const x = LEFT + at * width + gap / 2 + (stacked ? 0 : (nth * room) / series.length);
      const from = stacked ? below : 0;
      below = from + value;
      return value > 0 && s("rect", { class: `s${nth + 1}`, x, y: y(from + value), width: stacked ? room : room / series.length, height: Math.max(1, y(from) - y(from + value)), rx: Math.min(2, room / 4) },
        s("title", {}, `${point.label}: ${number(value)}${unit} ${series[nth]}`));
    });
    const label = at % every === 0 && s("text", { x: LEFT + at * width + width / 2, y: HEIGHT - 8, "text-anchor": "middle" }, point.label);
    return [parts, label];
  });
  const plot = s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. The figures are in the table below.` }, lines, bars);
  return h("figure", { class: "stack tight" }, plot, series.length > 1 && legend(series), figures(title, ["When", ...series],
    points.filter(({ values }) => values.some((value) => value > 0)).map(({ label, values }) => [label, ...values.map((value) => number(value) + unit)])));
}

function legend(series) {
  return h("ul", { class: "legend" }, series.map((name, at) =>
    h("li", {}, s("svg", { class: "key-of plot", width: 12, height: 12, viewBox: "0 0 12 12", "aria-hidden": "true" }, s("rect", { class: `s${at + 1}`, width: 12, height: 12, rx: 3 })), name)));
}

/** Bars beside names, the largest first. */
export function bars(title, rows, tone = "") {
  const most = Math.max(...rows.map(([, value]) => value), 1);
  return h("ul", { class: "rows", "aria-label": title }, rows.toSorted((a, b) => b[1] - a[1]).map(([name, value, words]) =>
    h("li", {}, h("span", {}, name), h("span", { class: "soft" }, words ?? number(value)), h("progress", { class: tone, value, max: most, "aria-label": name }))));
}

function figures(title, head, rows) {
  return h("details", { class: "plain" }, h("summary", {}, "Figures"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, figures` }, table(title, head, rows).element));
}
