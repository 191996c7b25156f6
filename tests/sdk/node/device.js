'use strict';
// A device with Azure's Node SDK: provisions, connects to its hub, and does all that a device does there.
const assert = require('assert');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { Amqp, AmqpWs } = require('azure-iot-provisioning-device-amqp');
const { Mqtt, MqttWs } = require('azure-iot-provisioning-device-mqtt');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');
const { TpmAuthenticationProvider } = require('azure-iot-security-tpm');
const { Client, Message } = require('azure-iot-device');
const hubMqtt = require('azure-iot-device-mqtt');
const hubAmqp = require('azure-iot-device-amqp');
const { Registry, Client: ServiceClient } = require('azure-iothub');
const { run, call, until } = require('./job');
const { tpmClient } = require('./tpm');

const PROVISIONING = { https: Http, mqtt: Mqtt, 'mqtt-ws': MqttWs, amqp: Amqp, 'amqp-ws': AmqpWs };
const HUB = { https: hubMqtt.Mqtt, mqtt: hubMqtt.Mqtt, 'mqtt-ws': hubMqtt.MqttWs, amqp: hubAmqp.Amqp, 'amqp-ws': hubAmqp.AmqpWs };

async function provision(job) {
  const security = job.tpm ? job.tpmClient : job.key ? new SymmetricKeySecurityClient(job.registrationId, job.key) : new X509Security(job.registrationId, { cert: job.cert, key: job.certKey });
  const client = ProvisioningDeviceClient.create(job.host, job.idScope, new PROVISIONING[job.transport](), security);
  if (job.payload) client.setProvisioningPayload(job.payload);
  const started = process.hrtime.bigint();
  const result = await client.register();
  const ms = Number(process.hrtime.bigint() - started) / 1e6;
  // With a TPM the SDK gives the whole answer, otherwise its registration state.
  return { ms, result: result.registrationState || result };
}

function connect(job, place) {
  if (job.tpm) {
    return Client.fromAuthenticationProvider(TpmAuthenticationProvider.fromTpmSecurityClient(place.deviceId, place.assignedHub, job.tpmClient), HUB[job.transport]);
  }
  const base = `HostName=${place.assignedHub};DeviceId=${place.deviceId}`;
  if (job.key) return Client.fromConnectionString(`${base};SharedAccessKey=${job.key}`, HUB[job.transport]);
  const client = Client.fromConnectionString(`${base};x509=true`, HUB[job.transport]);
  client.setOptions({ cert: job.cert, key: job.certKey });
  return client;
}

async function live(job, place) {
  const device = connect(job, place);
  await device.open();
  const twin = await device.getTwin();
  const desired = JSON.parse(JSON.stringify(twin.properties.desired));
  if (job.brief) {
    await device.close();
    return { desired };
  }
  const registry = Registry.fromConnectionString(job.hub);
  await device.sendEvent(new Message(JSON.stringify({ from: place.deviceId })));
  assert.deepStrictEqual(await telemetry(job, place.deviceId), [{ from: place.deviceId }]);
  await call(twin.properties.reported, 'update', { seen: place.deviceId });
  const reported = (await registry.getTwin(place.deviceId)).responseBody.properties.reported;
  await patch(registry, twin, place.deviceId);
  device.onDeviceMethod('blink', (request, response) => response.send(200, { echo: request.payload }));
  const method = await onceSubscribed(() => ServiceClient.fromConnectionString(job.hub)
    .invokeDeviceMethod(place.deviceId, { methodName: 'blink', payload: 7, responseTimeoutInSeconds: 10 }));
  // The hub keeps a message until the device has subscribed.
  const message = until('cloud-to-device message', 10000, (done) => device.on('message', (msg) => device.complete(msg, () => done(msg.data.toString()))));
  await sendToDevice(job, place.deviceId);
  const heard = await message;
  await device.close();
  return { desired, reported, method: (method.result || method).payload, heard };
}

// The SDK subscribes in the background and tells nobody when it is done. Until then patches pass the device by, and the hub answers method
// calls with 404: so both are tried again for a while.
const TRIES = 20;
const PAUSE_MS = 500;
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

async function patch(registry, twin, deviceId) {
  let heard;
  twin.on('properties.desired.patched', (value) => { heard = value; });
  for (let tries = 0; heard === undefined && tries < TRIES; tries++) {
    await registry.updateTwin(deviceId, { properties: { desired: { patched: deviceId } } }, '*');
    await pause();
  }
  assert.strictEqual(heard, deviceId);
}

async function onceSubscribed(invoke) {
  for (let tries = 1; ; tries++) {
    try {
      return await invoke();
    } catch (error) {
      if (tries === TRIES || !error.response || error.response.statusCode !== 404) throw error;
      await pause();
    }
  }
}

// A request to the hub's REST API with its own token.
async function askHub(job, path, options = {}) {
  const parts = Object.fromEntries(job.hub.split(';').map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]));
  const { SharedAccessSignature } = require('azure-iot-common');
  const token = SharedAccessSignature.create(parts.HostName, parts.SharedAccessKeyName, parts.SharedAccessKey, Math.floor(Date.now() / 1000) + 600).toString();
  const response = await fetch(`https://${parts.HostName}${path}`, Object.assign({}, options, { headers: Object.assign({ authorization: token }, options.headers) }));
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}

function sendToDevice(job, deviceId) {
  return askHub(job, '/messages/deviceBound?api-version=2021-04-12', { method: 'POST', body: 'hello device', headers: { 'iothub-to': `/devices/${deviceId}/messages/deviceBound` } });
}

// Bodies of what came from the device. Azure's SDKs read these from Event Hubs; usher's hub tells them over REST.
async function telemetry(job, deviceId) {
  const response = await askHub(job, `/usher/telemetry?deviceId=${encodeURIComponent(deviceId)}`);
  return (await response.json()).map((message) => message.body);
}

run(async (job) => {
  if (job.tpm) job.tpmClient = tpmClient(job.registrationId);
  const { ms, result } = await provision(job);
  if (job.provisionOnly) return { ms, place: result };
  try {
    return Object.assign({ ms, place: result }, await live(job, result));
  } catch (error) {
    // What fails at the hub does not hide that the device was provisioned.
    throw Object.assign(error, { seen: { ms, place: result } });
  }
});
