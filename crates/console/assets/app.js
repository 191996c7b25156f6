// The shell: signs in, shows the navigation and the page that the address names.

import { onSignedOut, services, session, signOut } from "./api.js";
import { h, icon, put, say } from "./dom.js";
import { head, problem, toast } from "./parts.js";
import { signInDialog, signInPage } from "./pages/sign-in.js";
import * as access from "./pages/access.js";
import * as device from "./pages/device.js";
import * as enrollment from "./pages/enrollment.js";
import * as enrollments from "./pages/enrollments.js";
import * as feed from "./pages/feed.js";
import * as hubs from "./pages/hubs.js";
import * as bulk from "./pages/import.js";
import * as registrations from "./pages/registrations.js";
import * as serviceList from "./pages/services.js";
import * as service from "./pages/service.js";
import * as trends from "./pages/trends.js";

const app = document.getElementById("app");

/** Pages of a service by the first segment behind its name. */
const PAGES = {
  "": service.page,
  enrollments: (context) => enrollments.page(context, "enrollment"),
  groups: (context) => enrollments.page(context, "group"),
  enrollment: (context) => enrollment.page(context, "enrollment"),
  group: (context) => enrollment.page(context, "group"),
  "new-enrollment": (context) => enrollment.blank(context, "enrollment"),
  "new-group": (context) => enrollment.blank(context, "group"),
  import: bulk.page,
  registrations: registrations.page,
  device: device.page,
  live: feed.page,
  trends: trends.page,
  hubs: hubs.page,
  access: access.page,
};

const NAVIGATION = [
  ["", "Overview", "home", [""]],
  [null, "Enrollment"],
  ["enrollments", "Enrollments", "device", ["enrollments", "enrollment", "new-enrollment"]],
  ["groups", "Groups", "group", ["groups", "group", "new-group"]],
  ["import", "Import", "upload", ["import"]],
  [null, "Devices"],
  ["live", "Live", "live", ["live", "device"]],
  ["registrations", "Registrations", "list", ["registrations"]],
  ["trends", "Trends", "chart", ["trends"]],
  [null, "Service"],
  ["hubs", "Hubs", "hub", ["hubs"]],
  ["access", "Access", "key", ["access"]],
];

let leave = [];
let shown = 0;

/** What the address names: `#/` or `#/s/{service}/{page}/{id}`. */
function place() {
  const segments = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  if (segments[0] !== "s" || !segments[1]) return { service: null, page: "", id: "" };
  return { service: segments[1], page: segments[2] ?? "", id: segments.slice(3).join("/") };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a page. */
export const at = (name, page = "", id = "") => `#/s/${encodeURIComponent(name)}${page ? `/${page}` : ""}${id ? `/${encodeURIComponent(id)}` : ""}`;

async function show() {
  leave.forEach((end) => end());
  leave = [];
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  const mine = ++shown, where = place();
  const main = h("main", { id: "main" });
  let all = [];
  try {
    all = await services();
  } catch (failure) {
    put(main, problem(failure));
  }
  if (mine !== shown) return;
  const found = all.find((one) => one.name.toLowerCase() === where.service?.toLowerCase());
  put(app, bar(where, all), h("div", { class: `shell${found ? "" : " wide"}` }, found && side(where), main));
  const context = { ...where, resource: found, name: found?.name, services: all, reload: show, at: (page, id) => at(found.name, page, id),
    onLeave: (end) => leave.push(end), isShown: () => mine === shown };
  const page = where.service === null ? serviceList.page : found ? PAGES[where.page] : null;
  if (main.childElementCount === 0) await draw(main, page ?? nowhere, context, mine);
}

async function draw(main, page, context, mine) {
  let content;
  try {
    content = await page(context);
  } catch (failure) {
    console.warn(failure);
    content = h("div", { class: "stack" }, head("This page cannot be shown"), problem(failure));
  }
  if (mine !== shown) return;
  put(main, h("div", { class: "page" }, content));
  const title = main.querySelector("h1");
  document.title = `${title?.textContent ?? "usher"} – ${context.name ?? "usher"}`;
  // Who uses the keyboard or listens goes on at the new page, not behind the old link.
  title?.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function nowhere(context) {
  return h("div", { class: "stack" }, head("There is nothing here", { up: { href: "#/", word: "Services" },
    lead: context.service ? `There is no such page, or no service ${context.service} any more.` : "" }));
}

function bar(where, all) {
  const switcher = where.service && all.length > 0 && h("span", { class: "crumb" },
    h("select", { "aria-label": "Service", onchange: (event) => { location.hash = at(event.target.value, where.id ? "" : where.page); } },
      all.map((one) => h("option", { value: one.name, selected: one.name.toLowerCase() === where.service.toLowerCase() }, one.name))));
  return h("header", { class: "bar" },
    where.service && h("button", { type: "button", class: "bare icon menu", "aria-label": "Menu", "aria-expanded": "false", onclick: toggleMenu }, icon("menu")),
    h("a", { class: "brand", href: "#/", "aria-label": "usher, all services" }, h("img", { src: "icon.svg", alt: "" }), h("span", { class: "word" }, "usher")),
    switcher, h("span", { class: "room" }),
    h("button", { type: "button", class: "bare icon", "aria-label": "Switch between light and dark", onclick: toggleTheme }, icon("sun")),
    h("button", { type: "button", class: "bare", onclick: goOut }, "Sign out"));
}

function side(where) {
  const items = NAVIGATION.map(([page, word, drawing, covers]) => page === null
    ? h("li", { class: "heading" }, word)
    : h("li", {}, h("a", { href: at(where.service, page), "aria-current": covers.includes(where.page) ? "page" : undefined }, icon(drawing), word)));
  return h("nav", { class: "side", "aria-label": "Service" }, h("ul", {}, items));
}

function toggleMenu(event) {
  const open = document.querySelector(".side")?.classList.toggle("open");
  event.currentTarget.setAttribute("aria-expanded", String(Boolean(open)));
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  say(`${root.dataset.theme} colours`);
  try {
    localStorage.setItem("usher-theme", root.dataset.theme);
  } catch {
    // It then lasts as long as the page.
  }
}

async function goOut() {
  try {
    await signOut();
  } catch (failure) {
    toast(failure.message);
    return;
  }
  location.hash = "#/";
  location.reload();
}

/** The link to the content moves the focus and not the address, which names the page. */
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  const main = document.getElementById("main");
  main?.setAttribute("tabindex", "-1");
  main?.focus();
});

async function begin() {
  onSignedOut(signInDialog);
  try {
    const { signedIn, issuer } = await session();
    if (!signedIn) await new Promise((resolve) => put(app, signInPage(resolve, issuer)));
  } catch (failure) {
    put(app, h("main", { id: "main", class: "gate" }, h("div", { class: "card" }, h("h1", {}, "usher"), problem(failure))));
    return;
  }
  addEventListener("hashchange", show);
  await show();
}

begin();
