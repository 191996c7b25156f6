'use strict';
// azure-iothub: each call of the hub's REST once right and once wrong.
const { Registry, Client } = require('azure-iothub');
const runCases = require('./cases');
const { refused } = runCases;

const key = () => require('crypto').randomBytes(32).toString('base64');
const body = (answer) => answer.responseBody || answer;
const status = (error) => error.response && error.response.statusCode;

runCases((job, assert) => {
  const registry = Registry.fromConnectionString(job.hub);
  return {
    'device: create, get, create again, update, delete': async () => {
      const made = body(await registry.create({ deviceId: 'njs-1', status: 'enabled', authentication: { symmetricKey: { primaryKey: key(), secondaryKey: key() } } }));
      assert.ok(made.generationId && made.etag);
      assert.strictEqual(status(await refused(() => registry.create({ deviceId: 'njs-1' }))), 409);
      const updated = body(await registry.update({ deviceId: 'njs-1', status: 'disabled' }));
      assert.strictEqual(updated.status, 'disabled');
      assert.strictEqual(body(await registry.get('njs-1')).status, 'disabled');
      await registry.delete('njs-1');
      assert.strictEqual(status(await refused(() => registry.get('njs-1'))), 404);
      assert.strictEqual(status(await refused(() => registry.delete('njs-1'))), 404);
    },
    'devices: bulk add, list, bulk remove': async () => {
      const devices = ['njs-a', 'njs-b'].map((deviceId) => ({ deviceId, status: 'enabled', authentication: { symmetricKey: { primaryKey: key(), secondaryKey: key() } } }));
      assert.strictEqual(body(await registry.addDevices(devices)).isSuccessful, true);
      const listed = body(await registry.list()).map((device) => device.deviceId);
      assert.ok(listed.includes('njs-a') && listed.includes('njs-b'));
      await registry.removeDevices(devices, true);
      assert.strictEqual(status(await refused(() => registry.get('njs-a'))), 404);
    },
    'twin: get, patch, query with pages, stale ETag': async () => {
      for (let n = 0; n < 5; n++) await registry.create({ deviceId: `njs-t${n}` });
      const twin = body(await registry.getTwin('njs-t0'));
      const patched = body(await registry.updateTwin('njs-t0', { tags: { room: 'a' }, properties: { desired: { level: 3 } } }, twin.etag));
      assert.strictEqual(patched.properties.desired.level, 3);
      assert.strictEqual(status(await refused(() => registry.updateTwin('njs-t0', { tags: { room: 'b' } }, twin.etag))), 412);
      const query = registry.createQuery("SELECT * FROM devices WHERE tags.room = 'a'", 2);
      assert.deepStrictEqual((await query.nextAsTwin()).result.map((found) => found.deviceId), ['njs-t0']);
      const all = registry.createQuery('SELECT * FROM devices', 2);
      const ids = [];
      while (all.hasMoreResults) ids.push(...(await all.nextAsTwin()).result.map((found) => found.deviceId));
      for (let n = 0; n < 5; n++) assert.ok(ids.includes(`njs-t${n}`));
      for (let n = 0; n < 5; n++) await registry.delete(`njs-t${n}`);
      assert.strictEqual(status(await refused(() => registry.getTwin('njs-t0'))), 404);
    },
    'statistics': async () => {
      assert.ok(body(await registry.getRegistryStatistics()).totalDeviceCount >= 0);
    },
    'method: a device that is not there': async () => {
      const client = Client.fromConnectionString(job.hub);
      assert.strictEqual(status(await refused(() => client.invokeDeviceMethod('nobody', { methodName: 'm', payload: {} }))), 404);
    },
    'a wrong key is refused': async () => {
      const other = Registry.fromConnectionString(job.hub.replace(/SharedAccessKey=.*/, `SharedAccessKey=${key()}`));
      assert.strictEqual(status(await refused(() => other.list())), 401);
    },
  };
});
