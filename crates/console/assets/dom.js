// Elements from code. Text is always text: nothing that a device or an operator wrote is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, listeners (`onclick: …`) and children; children that are null, undefined or false are left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" && "value" in element) element.value = value;
    else if (name === "checked") element.checked = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Puts these children in place of what was there. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Tells people who do not see the page what has happened. */
export function say(text) {
  const said = document.getElementById("said");
  if (said) said.textContent = text;
}

let numbers = 0;

/** An ID that no other element has. */
export function freshId(word = "part") {
  numbers += 1;
  return `${word}-${numbers}`;
}

const ICONS = {
  home: "M3 10.5 12 3l9 7.5V20a1 1 0 0 1-1 1h-5v-6H9v6H4a1 1 0 0 1-1-1z",
  device: "M6 3h12v18H6zM10 18h4",
  group: "M4 7h7v7H4zM13 4h7v7h-7zM13 14h7v7h-7z",
  list: "M4 6h16M4 12h16M4 18h10",
  live: "M3 12h4l3-8 4 16 3-8h4",
  chart: "M4 20V10M10 20V4M16 20v-8M22 20H2",
  hub: "M12 8v4m0 0-6 5m6-5 6 5M12 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM5 21a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM19 21a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  key: "M15 8a4 4 0 1 1-3.5 6L4 21v-4l6-6a4 4 0 0 1 5-3z",
  menu: "M4 7h16M4 12h16M4 17h16",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5 19 19M5 19l1.5-1.5M17.5 6.5 19 5",
  upload: "M12 16V4M7 9l5-5 5 5M4 20h16",
};

/** A line drawing beside a word; it says nothing by itself. */
export function icon(name) {
  return s("svg", { viewBox: "0 0 24 24", width: 18, height: 18, fill: "none", stroke: "currentColor", "stroke-width": 1.8,
    "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true", focusable: "false" }, s("path", { d: ICONS[name] }));
}
