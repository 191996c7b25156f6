'use strict';
// Runs named cases and collects what became of them.
const assert = require('assert');
const { run } = require('./job');

module.exports = function runCases(make) {
  run(async (job) => {
    const cases = [];
    for (const [name, work] of Object.entries(make(job, assert))) {
      try {
        await work();
        cases.push({ name, ok: true });
      } catch (error) {
        cases.push({ name, ok: false, error: `${error.name}: ${error.message} ${error.responseBody || ''} ${String(error.stack).slice(0, 600)}` });
      }
    }
    return { cases };
  });
};

// The error that a call is refused with.
module.exports.refused = async function refused(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
};
