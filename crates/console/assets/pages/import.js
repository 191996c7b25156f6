// Many enrollments from a file. The file is read piece by piece and sent ten at a time, as the service API's bulk call takes them.

import { KINDS, service } from "../api.js";
import { h, put, say } from "../dom.js";
import { button, card, field, head, problem, select, table, toast } from "../parts.js";
import { COLUMNS, records } from "../lines.js";
import { number, plural } from "../words.js";

/** Items of one bulk call (azure-rest-api-specs: 10). */
const BATCH = 10;
/** Calls under way at once. */
const AT_ONCE = 4;
/** Errors listed; the others are counted. */
const LISTED = 500;

export function page(context) {
  const kind = select([["enrollment", "Individual enrollments"], ["group", "Groups (JSON lines only)"]], "enrollment");
  const mode = select([["create", "Create new ones"], ["update", "Update existing ones"], ["delete", "Delete by ID"]], "create");
  const file = h("input", { type: "file", accept: ".csv,.jsonl,.ndjson,.json,text/csv", required: true });
  const from = h("input", { type: "number", min: 1, value: 1, class: "narrow" });
  const place = h("div", { class: "stack" });
  const send = h("button", { type: "submit", class: "main" }, "Import");
  const form = h("form", { class: "stack", onsubmit: async (event) => {
    event.preventDefault();
    const [chosen] = file.files;
    const format = /\.csv$/i.test(chosen.name) ? "csv" : "jsonl";
    send.disabled = true;
    await run(context, { file: chosen, format, kind: kind.value, mode: mode.value, from: Number(from.value) || 1 }, place, from);
    send.disabled = false;
  } },
  h("div", { class: "fields" }, field("File", file, "CSV with a head line, or one JSON object a line (.jsonl)."), field("What it holds", kind), field("What to do", mode),
    field("Begin at line", from, "To go on where an import ended.")),
  h("div", { class: "acts" }, send));
  return [head("Import", { lead: "Thousands of enrollments at once. The file stays in this browser; lines go out ten at a time, and each that fails is listed." }),
    h("section", { class: "card" }, form), place, card("CSV columns", help())];
}

function help() {
  const sample = "registrationId,primaryKey,tags\npress-7,,\"{\"\"site\"\":\"\"Lyon\"\"}\"\npress-8,,";
  return h("div", { class: "stack" }, h("p", {}, "Only registrationId is needed. Without a key or certificate, keys are made. ", h("span", { class: "soft" }, `Known columns: ${Object.keys(COLUMNS).join(", ")}.`)),
    h("pre", { class: "note" }, sample));
}

/** A batch goes wrong as a whole, or some of its items do; either way the lines are told. */
async function run(context, job, place, fromInput) {
  const state = { sent: 0, done: 0, failed: 0, stop: false, last: job.from - 1, open: new Map() };
  const view = panel(job, state);
  put(place, view.element);
  const under = new Set();
  let batch = [];
  const flush = async () => {
    if (batch.length === 0) return;
    const mine = batch;
    batch = [];
    state.open.set(mine, mine[0].line);
    const call = send(context, job, mine, state, view).finally(() => {
      under.delete(call);
      state.open.delete(mine);
    });
    under.add(call);
    if (under.size >= AT_ONCE) await Promise.race(under);
  };
  try {
    for await (const record of records(job.file, job.format)) {
      if (state.stop || !context.isShown()) break;
      if (record.line < job.from) continue;
      state.last = record.line;
      view.read(record.bytes);
      if (record.fault) fail(state, view, record.line, "", record.fault);
      else if (batch.push(record) >= BATCH) await flush();
    }
    await flush();
    await Promise.all(under);
  } catch (failure) {
    state.stop = true;
    put(view.told, problem(Object.assign(failure, { next: failure.next || "Begin again at the line told above." })));
  }
  view.end();
  fromInput.value = state.resume ?? state.last + 1;
}

async function send(context, job, batch, state, view) {
  const member = job.kind === "group" ? "enrollmentGroups" : "enrollments", { id, path } = KINDS[job.kind];
  try {
    const { body } = await patient(() => service(context.name, "POST", path, { body: { mode: job.mode, [member]: batch.map((record) => record.document) } }), state);
    for (const error of body.errors) {
      const of = error[id] ?? "", record = batch.find((one) => (one.document[id] ?? "") === of && !one.told) ?? batch[0];
      record.told = true;
      fail(state, view, record.line, of, error.errorStatus);
    }
    state.done += batch.length - body.errors.length;
  } catch (failure) {
    // Without an answer nobody knows what was done: this is where to go on.
    if (failure.status === 0 || failure.status >= 500 || failure.status === 429) {
      state.stop = true;
      state.resume = Math.min(state.resume ?? Infinity, batch[0].line);
      put(view.told, problem(failure));
      return;
    }
    batch.forEach((record) => fail(state, view, record.line, record.document[id] ?? "", failure.message));
  }
  view.tell();
}

/** A service whose rate is used up is asked again after a while. */
async function patient(work, state) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (failure) {
      if (failure.status !== 429 || tries >= 20 || state.stop) throw failure;
      await new Promise((resolve) => setTimeout(resolve, 1000 + tries * 500));
    }
  }
}

function fail(state, view, line, id, why) {
  state.failed += 1;
  if (state.failed <= LISTED) view.list(line, id, why);
  view.tell();
}

function panel(job, state) {
  const bar = h("progress", { max: job.file.size || 1, value: 0, "aria-label": "How much of the file is read" });
  const figures = h("p", { role: "status" }), told = h("div", {}), errors = table("Lines that failed", ["Line", "ID", "Why"], []);
  const listed = h("div", { class: "stack tight", hidden: true }, h("h2", {}, "Lines that failed"), h("div", { class: "scroll" }, errors.element));
  const stop = button("Stop", () => { state.stop = true; });
  const tell = () => {
    figures.textContent = `${number(state.done)} done, ${number(state.failed)} failed, at line ${number(state.last)}`;
  };
  tell();
  return {
    element: h("section", { class: "card stack", "aria-label": "Progress" }, h("h2", {}, job.file.name), bar, figures, h("div", { class: "acts" }, stop), told, listed),
    told, tell,
    read: (bytes) => { bar.value = bytes; },
    list: (line, id, why) => {
      listed.hidden = false;
      errors.add([number(line), id, why]);
    },
    end: () => {
      tell();
      stop.remove();
      const at = state.resume ?? state.last + 1;
      const words = state.stop ? `Stopped. Go on at line ${at}.` : `Finished: ${plural(state.done, "line")} done, ${number(state.failed)} failed.`;
      if (!state.stop) bar.value = bar.max;
      figures.textContent = `${words}${state.failed > LISTED ? ` The first ${LISTED} failures are listed.` : ""}`;
      say(words);
      toast(words);
    },
  };
}
