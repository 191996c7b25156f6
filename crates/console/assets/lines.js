// A file of enrollments, read piece by piece: never more of it is in memory than one line and one piece.

/** Longest line, in characters: an enrollment with certificates and a twin. */
const LINE_CHARS_MAX = 256 * 1024;

/** The records of a file with the line that each begins at: a JSON object a line, or CSV with a head line. */
export async function* records(file, format) {
  const rows = rowsOf(file, format === "csv");
  let columns = null;
  for await (const row of rows) {
    if (!row.text.trim()) continue;
    if (row.text.length > LINE_CHARS_MAX) yield { ...row, fault: "The line is longer than 256 KiB." };
    else if (format === "jsonl") yield { ...row, ...fromJson(row.text) };
    else if (columns === null) columns = cells(row.text).map((name) => name.trim());
    else yield { ...row, ...fromCells(columns, cells(row.text)) };
  }
}

/** Lines with their numbers and where they end, in bytes read. In CSV a line goes on within quotes. */
async function* rowsOf(file, quotes) {
  const reader = file.stream().getReader(), decoder = new TextDecoder();
  let text = "", inside = false, line = 1, begun = 1, bytes = 0;
  for (let done = false; !done;) {
    const piece = await reader.read();
    done = piece.done;
    bytes += piece.value?.length ?? 0;
    const fresh = done ? decoder.decode() + "\n" : decoder.decode(piece.value, { stream: true });
    for (const part of fresh.split(/(?<=\n)/)) {
      if (text.length <= LINE_CHARS_MAX) text += part;
      if (quotes) for (const letter of part) inside = letter === '"' ? !inside : inside;
      if (!part.endsWith("\n")) continue;
      line += 1;
      if (inside && !done) continue;
      yield { line: begun, text: text.replace(/^\uFEFF/, "").replace(/\r?\n$/, ""), bytes };
      text = "";
      begun = line;
    }
  }
}

/** The cells of a CSV line (RFC 4180). */
export function cells(text) {
  const found = [];
  let cell = "", inside = false;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (inside && letter === '"' && text[at + 1] === '"') {
      cell += '"';
      at += 1;
    } else if (letter === '"') inside = !inside;
    else if (letter === "," && !inside) {
      found.push(cell);
      cell = "";
    } else cell += letter;
  }
  return [...found, cell];
}

function fromJson(text) {
  try {
    const document = JSON.parse(text);
    return document && typeof document === "object" && !Array.isArray(document) ? { document } : { fault: "The line is no JSON object." };
  } catch (why) {
    return { fault: `The line is no JSON: ${why.message}` };
  }
}

/** Columns that a CSV file may have, with what each means. */
export const COLUMNS = {
  registrationId: (document, text) => { document.registrationId = text; },
  deviceId: (document, text) => { document.deviceId = text; },
  attestation: (document, text) => { document.attestation.type = text; },
  primaryKey: (document, text) => { document.attestation.symmetricKey = { ...document.attestation.symmetricKey, primaryKey: text }; },
  secondaryKey: (document, text) => { document.attestation.symmetricKey = { ...document.attestation.symmetricKey, secondaryKey: text }; },
  certificate: (document, text) => { document.attestation.x509 = { clientCertificates: { primary: { certificate: text } } }; },
  endorsementKey: (document, text) => { document.attestation.tpm = { endorsementKey: text }; },
  provisioningStatus: (document, text) => { document.provisioningStatus = text; },
  iotEdge: (document, text) => { document.capabilities = { iotEdge: /^(true|yes|1)$/i.test(text) }; },
  allocationPolicy: (document, text) => { document.allocationPolicy = text; },
  iotHubs: (document, text) => { document.iotHubs = text.split(/[\s;]+/).filter(Boolean); },
  tags: (document, text) => { twinOf(document).tags = JSON.parse(text); },
  desired: (document, text) => { twinOf(document).properties.desired = JSON.parse(text); },
};

function twinOf(document) {
  document.initialTwin ??= { tags: {}, properties: { desired: {} } };
  return document.initialTwin;
}

function fromCells(columns, row) {
  if (row.length !== columns.length) return { fault: `The line has ${row.length} cells, the head line ${columns.length}.` };
  const document = { attestation: { type: "" } };
  for (const [at, name] of columns.entries()) {
    if (!Object.hasOwn(COLUMNS, name)) return { fault: `The column ${name} is not known. Known are: ${Object.keys(COLUMNS).join(", ")}.` };
    if (row[at] === "") continue;
    try {
      COLUMNS[name](document, row[at]);
    } catch (why) {
      return { fault: `${name} is no JSON: ${why.message}` };
    }
  }
  const { attestation } = document;
  attestation.type ||= attestation.x509 ? "x509" : attestation.tpm ? "tpm" : "symmetricKey";
  return { document };
}
