// A list that is found by the beginning of IDs, page by page. A search through very many records is many short requests; it says how far
// it has come and can be stopped.

import { read } from "../api.js";
import { h, put, say } from "../dom.js";
import { button, empty, field, problem, table } from "../parts.js";
import { number, plural } from "../words.js";

const PAGE = 50;

/** `row` makes the cells of a document, `none` what stands where there is nothing at all. */
export function finder(context, { kind, columns, noun, row, none }) {
  const input = h("input", { type: "search", autocomplete: "off", spellcheck: "false", maxlength: 128 });
  const place = h("section", { class: "card flush" }), state = { run: 0 };
  const start = () => search(context, { kind, columns, noun, row, none, prefix: input.value.trim(), place, state });
  const form = h("form", { class: "search", role: "search", onsubmit: (event) => {
    event.preventDefault();
    start();
  } }, field("ID begins with", input), h("button", { type: "submit" }, "Find"));
  context.onLeave(() => { state.run += 1; });
  start();
  return [form, place];
}

async function search(context, view) {
  const { columns, noun, prefix, place, state } = view;
  const run = ++state.run, rows = table(`${noun}s`, columns, []), foot = h("div", { class: "after" });
  put(place, rows.element, foot);
  Object.assign(view, { rows, foot, run, count: 0, looked: 0, continuation: undefined });
  rows.element.hidden = true;
  await more(context, view);
  if (state.run === run && view.count === 0 && !view.continuation) {
    put(place, prefix ? empty("Nothing found", `No ${noun} has an ID that begins with ${prefix}.`) : view.none());
  }
}

/** Fills one page: asks on while answers are empty and there is more to look at. */
async function more(context, view) {
  const { kind, prefix, state, run, rows, foot } = view, wanted = view.count + PAGE;
  let stopped = false;
  do {
    put(foot, h("span", {}, view.looked ? `Looking: ${plural(view.looked, "record")} so far, ${number(view.count)} found` : "Looking …"),
      button("Stop", () => { stopped = true; }, "small"));
    let found;
    try {
      found = await read(context.name, "find", { kind, prefix, limit: PAGE, continuation: view.continuation });
    } catch (failure) {
      if (state.run === run) put(foot, problem(failure), button("Try again", () => more(context, view)));
      return;
    }
    if (state.run !== run) return;
    found.items.forEach((item) => rows.add(view.row(item)));
    view.count += found.items.length;
    view.looked += found.lookedAt;
    view.continuation = found.continuation ?? undefined;
    rows.element.hidden = view.count === 0;
  } while (view.continuation && view.count < wanted && !stopped);
  const told = `${plural(view.count, view.noun)} shown${view.continuation ? ", there may be more" : ""}`;
  say(told);
  put(foot, h("span", {}, told), view.continuation && button("Show more", () => more(context, view), "small"));
}
