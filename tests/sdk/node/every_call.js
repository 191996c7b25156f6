'use strict';
// azure-iot-provisioning-service: every public method once right and once wrong; every_call/node_service.py judges what is told here.
const assert = require('assert');
const crypto = require('crypto');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { run } = require('./job');
const { refused } = require('./cases');

const STALE = '"0123456789abcdef"';
const key = () => crypto.randomBytes(32).toString('base64');
const attestation = (primaryKey) => ({ type: 'symmetricKey', symmetricKey: { primaryKey: primaryKey || key(), secondaryKey: key() } });
const individual = (registrationId, more) => Object.assign({ registrationId, attestation: attestation() }, more);
const group = (enrollmentGroupId, more) => Object.assign({ enrollmentGroupId, attestation: attestation() }, more);
const body = (answer) => answer.responseBody || answer;

// The client, noting in `called` which of its methods are called.
const watched = (target, called) => new Proxy(target, {
  get(object, name) {
    const found = object[name];
    if (typeof found !== 'function') return found;
    return (...given) => {
      called.add(name);
      return found.apply(object, given);
    };
  },
});

// What is public, from the package itself.
function publicMethods() {
  const statics = Object.getOwnPropertyNames(ProvisioningServiceClient).filter((name) => typeof ProvisioningServiceClient[name] === 'function');
  const own = Object.getOwnPropertyNames(ProvisioningServiceClient.prototype);
  return [...statics, ...own].filter((name) => !name.startsWith('_') && name !== 'constructor');
}

// This call answers callbacks only: as a promise it never resolves.
const bulk = (client, operation) => new Promise((resolve, reject) => client.runBulkEnrollmentOperation(operation, (error, result) => (error ? reject(error) : resolve(result))));

async function pages(query) {
  const found = [];
  while (query.hasMoreResults && found.length < 50) found.push(body(await query.next(query.continuationToken)));
  return found;
}

async function paged(query, size, wanted) {
  const found = await pages(query);
  assert.ok(found.length >= 2 && found.every((page) => page.length <= size), String(found.map((page) => page.length)));
  const names = found.flat().map((item) => item.registrationId || item.enrollmentGroupId);
  for (const name of wanted) assert.ok(names.includes(name), name);
}

function register({ host, idScope }, groupKey, registrationId) {
  const own = crypto.createHmac('sha256', Buffer.from(groupKey, 'base64')).update(registrationId).digest('base64');
  return ProvisioningDeviceClient.create(host, idScope, new Http(), new SymmetricKeySecurityClient(registrationId, own)).register();
}

function calls(job, called) {
  const factory = watched(ProvisioningServiceClient, called);
  const connect = (text) => watched(factory.fromConnectionString(text), called);
  const good = connect(job.service);
  const bad = connect(job.service.replace(/SharedAccessKey=.*/, `SharedAccessKey=${key()}`));
  const host = /HostName=([^;]+)/.exec(job.service)[1];
  const credential = { getToken: async () => ({ token: 'a bearer token', expiresOnTimestamp: Date.now() + 3600000 }) };
  const bearer = () => factory.fromTokenCredential(host, credential);
  return {
    fromConnectionString: [
      async () => assert.ok(body(await connect(job.service).createOrUpdateIndividualEnrollment(individual('each-1'))).etag),
      () => connect(job.service.replace(/SharedAccessKey=.*/, `SharedAccessKey=${key()}`)).getIndividualEnrollment('each-1'),
    ],
    fromTokenCredential: [
      // The client is made as it would be; the service takes no bearer tokens, which the wrong call shows.
      async () => assert.strictEqual(typeof bearer().getIndividualEnrollment, 'function'),
      () => bearer().getIndividualEnrollment('each-1'),
    ],
    createOrUpdateIndividualEnrollment: [
      async () => {
        const made = body(await good.createOrUpdateIndividualEnrollment(individual('each-2', { deviceId: 'other' })));
        assert.deepStrictEqual([made.registrationId, made.deviceId], ['each-2', 'other']);
        const changed = body(await good.createOrUpdateIndividualEnrollment(Object.assign({}, made, { provisioningStatus: 'disabled' })));
        assert.strictEqual(changed.provisioningStatus, 'disabled');
      },
      () => good.createOrUpdateIndividualEnrollment(individual('each-2', { etag: STALE })),
    ],
    getIndividualEnrollment: [
      async () => assert.strictEqual(body(await good.getIndividualEnrollment('EACH-2')).deviceId, 'other'),
      () => good.getIndividualEnrollment('nobody'),
    ],
    getIndividualEnrollmentAttestationMechanism: [
      async () => assert.strictEqual(body(await good.getIndividualEnrollmentAttestationMechanism('each-2')).symmetricKey.primaryKey.length, 44),
      () => good.getIndividualEnrollmentAttestationMechanism('nobody'),
    ],
    createIndividualEnrollmentQuery: [
      async () => {
        for (const name of ['each-3', 'each-4']) await good.createOrUpdateIndividualEnrollment(individual(name));
        await paged(good.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments' }, 2), 2, ['each-1', 'each-2', 'each-3', 'each-4']);
      },
      () => pages(good.createIndividualEnrollmentQuery({ query: 'DELETE everything' })),
    ],
    deleteIndividualEnrollment: [
      async () => {
        for (const name of ['each-3', 'each-4']) await good.deleteIndividualEnrollment(name);
        await refused(() => good.getIndividualEnrollment('each-3'));
      },
      () => good.deleteIndividualEnrollment('each-2', STALE),
    ],
    createOrUpdateEnrollmentGroup: [
      async () => {
        const made = body(await good.createOrUpdateEnrollmentGroup(group('each-group')));
        const changed = body(await good.createOrUpdateEnrollmentGroup(Object.assign({}, made, { provisioningStatus: 'disabled' })));
        assert.deepStrictEqual([changed.enrollmentGroupId, changed.provisioningStatus], ['each-group', 'disabled']);
      },
      () => good.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'each-tpm', attestation: { type: 'tpm', tpm: { endorsementKey: 'AA==' } } }),
    ],
    getEnrollmentGroup: [
      async () => assert.strictEqual(body(await good.getEnrollmentGroup('each-group')).provisioningStatus, 'disabled'),
      () => good.getEnrollmentGroup('nobody'),
    ],
    getEnrollmentGroupAttestationMechanism: [
      async () => assert.strictEqual(body(await good.getEnrollmentGroupAttestationMechanism('each-group')).symmetricKey.primaryKey.length, 44),
      () => good.getEnrollmentGroupAttestationMechanism('nobody'),
    ],
    createEnrollmentGroupQuery: [
      async () => {
        for (const name of ['each-group-2', 'each-group-3']) await good.createOrUpdateEnrollmentGroup(group(name));
        await paged(good.createEnrollmentGroupQuery({ query: 'SELECT * FROM enrollmentGroups' }, 2), 2, ['each-group', 'each-group-2', 'each-group-3']);
      },
      () => pages(good.createEnrollmentGroupQuery({ query: 'DELETE everything' })),
    ],
    deleteEnrollmentGroup: [
      async () => {
        for (const name of ['each-group-2', 'each-group-3']) await good.deleteEnrollmentGroup(name);
        await refused(() => good.getEnrollmentGroup('each-group-2'));
      },
      () => good.deleteEnrollmentGroup('each-group', STALE),
    ],
    runBulkEnrollmentOperation: [
      async () => {
        const enrollments = [individual('each-bulk-1'), individual('each-bulk-2')];
        for (const mode of ['create', 'update', 'delete']) assert.strictEqual((await bulk(good, { enrollments, mode })).isSuccessful, true, mode);
        const again = await bulk(good, { enrollments, mode: 'delete' });
        assert.deepStrictEqual([again.isSuccessful, again.errors.map((error) => error.errorCode)], [false, [404201, 404201]]);
      },
      () => bulk(good, { enrollments: Array.from({ length: 11 }, (_, n) => individual(`each-many-${n}`)), mode: 'create' }),
    ],
    createEnrollmentGroupDeviceRegistrationStateQuery: [
      async () => {
        const groupKey = key();
        await good.createOrUpdateEnrollmentGroup(group('each-registered', { attestation: attestation(groupKey) }));
        const names = ['each-device-1', 'each-device-2', 'each-device-3'];
        for (const name of names) await register(job, groupKey, name);
        await paged(good.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT *' }, 'each-registered', 2), 2, names);
      },
      () => pages(bad.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT *' }, 'each-registered')),
    ],
    getDeviceRegistrationState: [
      async () => assert.strictEqual(body(await good.getDeviceRegistrationState('each-device-1')).status, 'assigned'),
      () => good.getDeviceRegistrationState('nobody'),
    ],
    deleteDeviceRegistrationState: [
      async () => {
        await good.deleteDeviceRegistrationState(body(await good.getDeviceRegistrationState('each-device-1')));
        await refused(() => good.getDeviceRegistrationState('each-device-1'));
      },
      async () => good.deleteDeviceRegistrationState(Object.assign({}, body(await good.getDeviceRegistrationState('each-device-2')), { etag: STALE })),
    ],
  };
}

const why = (error) => `${error.name}: ${error.message} ${error.responseBody || ''}`;

// The refusal as the service told it.
function told(error) {
  try {
    const { errorCode, trackingId } = JSON.parse(error.responseBody);
    return { status: error.response.statusCode, errorCode, trackingId };
  } catch (_) {
    return { unread: why(error) };
  }
}

run(async (job) => {
  const called = new Set();
  const results = {};
  for (const [name, [right, wrong]] of Object.entries(calls(job, called))) {
    const result = { right: null, called: {} };
    called.clear();
    try { await right(); } catch (error) { result.right = why(error); }
    result.called.right = [...called];
    called.clear();
    try {
      await wrong();
      result.wrong = { unread: 'it was not refused' };
    } catch (error) { result.wrong = told(error); }
    result.called.wrong = [...called];
    results[name] = result;
  }
  return { version: require('azure-iot-provisioning-service/package.json').version, methods: publicMethods(), calls: results };
});
