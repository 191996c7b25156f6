// Parts that many pages are made of.

import { freshId, h, put, say } from "./dom.js";
import { TONES } from "./words.js";

/** A word with a tone: good, warn or bad; the word says it too. */
export function badge(word, tone = TONES[word] ?? "") {
  return h("span", { class: `badge ${tone}` }, word);
}

/** A page's head: where it belongs, what it is, what can be done. */
export function head(title, { up, lead, acts = [] } = {}) {
  return h("div", { class: "head" },
    h("div", {},
      up && h("a", { class: "up", href: up.href }, `← ${up.word}`),
      h("h1", { tabindex: "-1" }, title),
      lead && h("p", { class: "lead" }, lead)),
    h("div", { class: "acts" }, acts));
}

export const card = (title, ...children) => h("section", { class: "card" }, title && h("h2", {}, title), children);

export const button = (word, onclick, kind = "") => h("button", { type: "button", class: kind, onclick }, word);

/** What went wrong and what to do next. */
export function problem(failure) {
  return h("div", { class: "note bad", role: "alert" },
    h("strong", {}, failure.message), failure.next && h("span", {}, failure.next));
}

/** A place where something would be, with what to do so that it is. */
export function empty(title, text, ...children) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), children);
}

/** A text with a button that copies it. */
export function copy(text, what) {
  return h("span", { class: "copy" }, h("code", {}, text), copyButton(text, what));
}

/** A command to run, with a button that copies it. */
export function command(text) {
  return h("div", { class: "command" }, h("pre", {}, text), copyButton(text, "the command"));
}

function copyButton(text, what) {
  return h("button", { type: "button", class: "small bare", "aria-label": `Copy ${what}`, onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied.");
    } catch {
      toast("This browser does not let the page copy; select the text instead.");
    }
  } }, "Copy");
}

/** A short word about what was done; it goes by itself. */
export function toast(text) {
  let place = document.querySelector(".toasts");
  if (!place) document.body.append(place = h("div", { class: "toasts" }));
  const one = h("div", { class: "toast" }, text);
  place.append(one);
  say(text);
  setTimeout(() => one.remove(), 4000);
}

/** A labelled input with a line of explanation. */
export function field(label, input, hint) {
  const id = freshId("field");
  input.id = id;
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  return h("div", { class: "field" }, h("label", { for: id }, label), input, hint && h("small", { id: `${id}-hint`, class: "soft" }, hint));
}

export function check(label, input, hint) {
  return h("label", { class: "check" }, input, h("span", {}, label, hint && [h("br"), h("small", { class: "soft" }, hint)]));
}

export function select(options, value, attributes = {}) {
  return h("select", { ...attributes, value: undefined },
    options.map(([word, text]) => h("option", { value: word, selected: word === value }, text)));
}

/** A dialog with a form; `onsubmit` may fail, which is then told in it. Resolves to true once it is done, to false when it is left. */
export function ask(title, { content, submit = "Save", kind = "main", onsubmit }) {
  return new Promise((resolve) => {
    const told = h("div", {}), id = freshId("dialog");
    let done = false;
    const send = h("button", { type: "submit", class: kind }, submit);
    const form = h("form", { method: "dialog", onsubmit: async (event) => {
      event.preventDefault();
      send.disabled = true;
      try {
        await onsubmit?.();
        done = true;
        dialog.close();
      } catch (failure) {
        put(told, problem(failure));
      }
      send.disabled = false;
    } }, h("h2", { id }, title), content, told, h("div", { class: "acts" }, button("Cancel", () => dialog.close()), send));
    const dialog = h("dialog", { "aria-labelledby": id, onclose: () => {
      dialog.remove();
      resolve(done);
    } }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks before something is deleted; where `type` is given, it must be typed. */
export function confirmDelete(title, text, onsubmit, type) {
  const typed = type && h("input", { required: true, autocomplete: "off", pattern: type.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"), title: `Type ${type}` });
  const content = [h("p", {}, text), typed && field(`Type ${type} to confirm`, typed)];
  return ask(title, { content, submit: "Delete", kind: "bad", onsubmit });
}

/** A table whose rows become cards on a phone. Columns are words; a row's cells stand in their order. */
export function table(caption, columns, rows) {
  const body = h("tbody");
  const element = h("table", { class: "cards" },
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, columns.map((word) => h("th", { scope: "col" }, word === "" ? h("span", { class: "unseen" }, "Actions") : word)))),
    body);
  const add = (cells) => body.append(h("tr", {}, cells.map((cell, at) =>
    h("td", { "data-label": columns[at], class: columns[at] === "" ? "doing" : at === 0 ? "key" : "" }, columns[at] === "" ? h("div", { class: "acts" }, cell) : cell))));
  rows.forEach(add);
  return { element, body, add };
}

/** A few words of which one is chosen. */
export function choice(label, options, chosen, onchoose) {
  const buttons = options.map(([value, word]) => h("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => {
    buttons.forEach((one, at) => one.setAttribute("aria-pressed", String(options[at][0] === value)));
    onchoose(value);
  } }, word));
  return h("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}

/** Runs `work` and puts what it gives into `place`; a failure is told there, with a way to try again. */
export async function load(place, work) {
  try {
    put(place, await work());
  } catch (failure) {
    put(place, h("div", { class: "stack" }, problem(failure), h("div", {}, button("Try again", () => load(place, work)))));
  }
  return place;
}
