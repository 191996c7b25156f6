'use strict';
// azure-iot-provisioning-service: each call of the service API once right and once wrong.
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const runCases = require('./cases');
const { refused } = runCases;

const key = () => require('crypto').randomBytes(32).toString('base64');
const individual = (registrationId, more) => Object.assign({ registrationId, attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key(), secondaryKey: key() } } }, more);
const group = (enrollmentGroupId, more) => Object.assign({ enrollmentGroupId, attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key(), secondaryKey: key() } } }, more);
const body = (answer) => answer.responseBody || answer;
const status = (error) => error.response && error.response.statusCode;

// This call answers callbacks only: as a promise it never resolves.
const bulk = (client, operation) => new Promise((resolve, reject) => client.runBulkEnrollmentOperation(operation, (error, result) => (error ? reject(error) : resolve(result))));

// Registers a device by its group's key.
function register({ host, idScope }, groupKey, registrationId) {
  const own = require('crypto').createHmac('sha256', Buffer.from(groupKey, 'base64')).update(registrationId).digest('base64');
  return ProvisioningDeviceClient.create(host, idScope, new Http(), new SymmetricKeySecurityClient(registrationId, own)).register();
}

async function pages(query) {
  const sizes = [];
  const ids = [];
  while (query.hasMoreResults && sizes.length < 50) {
    // Without an argument `next` begins anew.
    const found = body(await query.next(query.continuationToken));
    sizes.push(found.length);
    ids.push(...found.map((item) => item.registrationId || item.enrollmentGroupId));
  }
  return { sizes, ids };
}

runCases((job, assert) => {
  const client = ProvisioningServiceClient.fromConnectionString(job.service);
  const otherKey = ProvisioningServiceClient.fromConnectionString(job.service.replace(/SharedAccessKey=.*/, `SharedAccessKey=${key()}`));
  return {
    'individual: create, get, delete': async () => {
      const made = body(await client.createOrUpdateIndividualEnrollment(individual('svc-1', { deviceId: 'other', capabilities: { iotEdge: true }, reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false } })));
      assert.ok(made.etag && made.createdDateTimeUtc);
      const got = body(await client.getIndividualEnrollment('SVC-1'));
      assert.deepStrictEqual([got.registrationId, got.deviceId, got.etag], ['svc-1', 'other', made.etag]);
      assert.deepStrictEqual(got.reprovisionPolicy, { updateHubAssignment: true, migrateDeviceData: false });
      await client.deleteIndividualEnrollment('svc-1');
      const error = await refused(() => client.getIndividualEnrollment('svc-1'));
      assert.strictEqual(status(error), 404, error.message);
    },
    'individual: update by ETag, stale ETag': async () => {
      const made = body(await client.createOrUpdateIndividualEnrollment(individual('svc-2')));
      const updated = body(await client.createOrUpdateIndividualEnrollment(Object.assign({}, made, { provisioningStatus: 'disabled' })));
      assert.notStrictEqual(updated.etag, made.etag);
      const error = await refused(() => client.createOrUpdateIndividualEnrollment(Object.assign({}, made, { provisioningStatus: 'enabled' })));
      assert.strictEqual(status(error), 412, error.message);
      const stale = await refused(() => client.deleteIndividualEnrollment('svc-2', made.etag));
      assert.strictEqual(status(stale), 412, stale.message);
      await client.deleteIndividualEnrollment('svc-2', updated.etag);
    },
    'individual: bad documents are refused': async () => {
      for (const bad of [individual('-bad'), individual('svc-3', { attestation: { type: 'none' } }), individual('svc-3', { iotHubs: ['unknown.example'], allocationPolicy: 'hashed' })]) {
        const error = await refused(() => client.createOrUpdateIndividualEnrollment(bad));
        assert.strictEqual(status(error), 400, error.message);
      }
    },
    'individual: keys are generated and told by the attestation mechanism': async () => {
      await client.createOrUpdateIndividualEnrollment({ registrationId: 'svc-4', attestation: { type: 'symmetricKey' } });
      const mechanism = body(await client.getIndividualEnrollmentAttestationMechanism('svc-4'));
      assert.strictEqual(mechanism.type, 'symmetricKey');
      assert.ok(Buffer.from(mechanism.symmetricKey.primaryKey, 'base64').length >= 32);
      assert.ok(!(body(await client.getIndividualEnrollment('svc-4')).attestation.symmetricKey || {}).primaryKey);
      await client.deleteIndividualEnrollment('svc-4');
      assert.strictEqual(status(await refused(() => client.getIndividualEnrollmentAttestationMechanism('svc-4'))), 404);
    },
    'group: create, get, mechanism, delete': async () => {
      const made = body(await client.createOrUpdateEnrollmentGroup(group('grp-1')));
      assert.strictEqual(body(await client.getEnrollmentGroup('grp-1')).etag, made.etag);
      assert.ok(body(await client.getEnrollmentGroupAttestationMechanism('grp-1')).symmetricKey.primaryKey);
      await client.deleteEnrollmentGroup(Object.assign({}, made, { provisioningStatus: undefined }));
      assert.strictEqual(status(await refused(() => client.getEnrollmentGroup('grp-1'))), 404);
      assert.strictEqual(status(await refused(() => client.getEnrollmentGroupAttestationMechanism('grp-1'))), 404);
      assert.strictEqual(status(await refused(() => client.deleteEnrollmentGroup('grp-1'))), 404);
    },
    'group: update by ETag, stale ETag': async () => {
      const made = body(await client.createOrUpdateEnrollmentGroup(group('grp-3')));
      const updated = body(await client.createOrUpdateEnrollmentGroup(Object.assign({}, made, { provisioningStatus: 'disabled' })));
      assert.notStrictEqual(updated.etag, made.etag);
      assert.strictEqual(body(await client.getEnrollmentGroup('grp-3')).provisioningStatus, 'disabled');
      const error = await refused(() => client.createOrUpdateEnrollmentGroup(Object.assign({}, made, { provisioningStatus: 'enabled' })));
      assert.strictEqual(status(error), 412, error.message);
      const stale = await refused(() => client.deleteEnrollmentGroup('grp-3', made.etag));
      assert.strictEqual(status(stale), 412, stale.message);
      await client.deleteEnrollmentGroup('grp-3', updated.etag);
    },
    'group: keys are generated and told by the attestation mechanism': async () => {
      await client.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'grp-5', attestation: { type: 'symmetricKey' } });
      const mechanism = body(await client.getEnrollmentGroupAttestationMechanism('grp-5'));
      assert.ok(Buffer.from(mechanism.symmetricKey.primaryKey, 'base64').length >= 32);
      await client.deleteEnrollmentGroup('grp-5');
      assert.strictEqual(status(await refused(() => client.getEnrollmentGroupAttestationMechanism('grp-5'))), 404);
    },
    'group: TPM is refused': async () => {
      const error = await refused(() => client.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'grp-2', attestation: { type: 'tpm', tpm: { endorsementKey: 'AA==' } } }));
      assert.strictEqual(status(error), 400, error.message);
    },
    'query: pages of enrollments and of groups': async () => {
      for (let n = 0; n < 7; n++) await client.createOrUpdateIndividualEnrollment(individual(`page-${n}`));
      for (let n = 0; n < 3; n++) await client.createOrUpdateEnrollmentGroup(group(`pageg-${n}`));
      const found = await pages(client.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments' }, 3));
      assert.ok(found.sizes.every((size) => size <= 3), String(found.sizes));
      for (let n = 0; n < 7; n++) assert.strictEqual(found.ids.filter((id) => id === `page-${n}`).length, 1);
      const groups = await pages(client.createEnrollmentGroupQuery({ query: 'SELECT * FROM enrollmentGroups' }, 2));
      for (let n = 0; n < 3; n++) assert.ok(groups.ids.includes(`pageg-${n}`));
      const error = await refused(() => pages(client.createIndividualEnrollmentQuery({ query: 'DELETE everything' })));
      assert.strictEqual(status(error), 400, error.message);
    },
    'bulk: create, create again, update, delete, too many': async () => {
      const enrollments = [individual('bulk-1'), individual('bulk-2')];
      assert.strictEqual((await bulk(client, { enrollments, mode: 'create' })).isSuccessful, true);
      const again = (await bulk(client, { enrollments, mode: 'create' }));
      assert.deepStrictEqual([again.isSuccessful, again.errors.length], [false, 2]);
      const changed = enrollments.map((enrollment) => Object.assign({}, enrollment, { provisioningStatus: 'disabled' }));
      assert.strictEqual((await bulk(client, { enrollments: changed, mode: 'update' })).isSuccessful, true);
      assert.strictEqual(body(await client.getIndividualEnrollment('bulk-2')).provisioningStatus, 'disabled');
      assert.strictEqual((await bulk(client, { enrollments, mode: 'delete' })).isSuccessful, true);
      assert.strictEqual(status(await refused(() => client.getIndividualEnrollment('bulk-1'))), 404);
      assert.strictEqual((await bulk(client, { enrollments, mode: 'delete' })).isSuccessful, false);
      assert.strictEqual((await bulk(client, { enrollments: [individual('bulk-none')], mode: 'update' })).isSuccessful, false);
      const many = Array.from({ length: 11 }, (_, n) => individual(`bulk-${n}`));
      assert.strictEqual(status(await refused(() => bulk(client, { enrollments: many, mode: 'create' }))), 400);
    },
    'registration: get, query by group, delete': async () => {
      const groupKey = key();
      await client.createOrUpdateEnrollmentGroup(group('grp-4', { attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: groupKey, secondaryKey: key() } } }));
      const ids = ['reg-1', 'reg-2', 'reg-3'];
      for (const id of ids) await register(job, groupKey, id);
      const found = await pages(client.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT *' }, 'grp-4', 2));
      assert.ok(found.sizes.every((size) => size <= 2), String(found.sizes));
      assert.deepStrictEqual(found.ids.sort(), ids);
      const state = body(await client.getDeviceRegistrationState('reg-1'));
      assert.deepStrictEqual([state.status, state.registrationId, state.deviceId], ['assigned', 'reg-1', 'reg-1']);
      const stale = await refused(() => client.deleteDeviceRegistrationState(Object.assign({}, state, { etag: '"stale"' })));
      assert.strictEqual(status(stale), 412, stale.message);
      await client.deleteDeviceRegistrationState('reg-1');
      for (const id of ['reg-1', 'never-registered']) {
        assert.strictEqual(status(await refused(() => client.getDeviceRegistrationState(id))), 404);
        assert.strictEqual(status(await refused(() => client.deleteDeviceRegistrationState(id))), 404);
      }
    },
    'a wrong key is refused everywhere': async () => {
      const calls = [
        () => otherKey.getIndividualEnrollment('page-0'),
        () => otherKey.createOrUpdateEnrollmentGroup(group('grp-9')),
        () => otherKey.getDeviceRegistrationState('page-0'),
        () => otherKey.getIndividualEnrollmentAttestationMechanism('page-0'),
        () => otherKey.deleteIndividualEnrollment('page-0'),
        () => pages(otherKey.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments' })),
        () => bulk(otherKey, { enrollments: [individual('bulk-9')], mode: 'create' }),
      ];
      for (const call of calls) {
        const error = await refused(call);
        assert.strictEqual(status(error), 401, error.message);
      }
    },
  };
});
