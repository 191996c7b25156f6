'use strict';
// A script reads one job as JSON from standard input and answers with one line of JSON.

function readJob() {
  return JSON.parse(require('fs').readFileSync(0, 'utf8'));
}

function answer(result) {
  process.stdout.write(JSON.stringify(result) + '\n', () => process.exit(0));
}

function run(work) {
  Promise.resolve()
    .then(() => work(readJob()))
    .then((result) => answer(Object.assign({ ok: true }, result)))
    .catch((error) => answer(Object.assign({}, error.seen, { ok: false, error: describe(error), stack: String(error.stack).slice(0, 1500), body: error.responseBody })));
}

// Over AMQP the SDK passes on the peer's own error, which is no Error: a condition and a description.
function describe(error) {
  return error instanceof Error ? `${error.name}: ${error.message}` : `${error.condition}: ${error.description}`;
}

// Turns a function that takes a callback last into one that returns a promise.
function call(object, method, ...args) {
  return new Promise((resolve, reject) => {
    object[method](...args, (error, result, response) => (error ? reject(error) : resolve(response === undefined ? result : { result, response })));
  });
}

function until(what, ms, start) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`timed out: ${what}`)), ms);
    start((value) => { clearTimeout(timer); resolve(value); });
  });
}

module.exports = { run, call, until };
