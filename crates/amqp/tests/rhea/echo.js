// Checks the engine's server side with rhea, against examples/echo.rs. Not part of `cargo test`: it needs node and rhea.
//   cargo run -p usher-amqp --example echo -- 15672
//   NODE_PATH=tests/sdk/node/node_modules node crates/amqp/tests/rhea/echo.js 15672
'use strict';
const assert = require('node:assert');
const crypto = require('node:crypto');
const rhea = require('rhea');
const port = Number(process.argv[2] || 5672);

const plain = { username: 'device', password: 'secret' };
const steps = [];
const rounds = {
  sasl_mechanisms: {
    ROUNDS: () => ({
      start: (callback) => callback(null, Buffer.from('begin')),
      step: (challenge, callback) => { steps.push(challenge.length); callback(null, Buffer.from([0])); },
    }),
  },
};

function connect(options) {
  const container = rhea.create_container();
  return container.connect({ host: '127.0.0.1', port, reconnect: false, ...options });
}

const once = (emitter, ...names) => new Promise((resolve, reject) => {
  names.forEach((name) => emitter.once(name, (context) => resolve({ name, context })));
  setTimeout(() => reject(new Error(`none of ${names} came`)), 10_000).unref();
});

async function links(connection, receiverOptions = {}) {
  if (!connection.is_open()) await once(connection, 'connection_open');
  const receiver = connection.open_receiver({ source: 'echo', ...receiverOptions });
  await once(receiver, 'receiver_open');
  const sender = connection.open_sender({ target: 'echo' });
  await once(sender, 'sendable');
  return { sender, receiver };
}

async function echoed({ sender, receiver }, message) {
  const [outcome, back] = [once(sender, 'accepted'), once(receiver, 'message')];
  sender.send(message);
  await outcome;
  return (await back).context.message;
}

async function goodbye(connection) {
  connection.close();
  await once(connection, 'connection_close');
}

const checks = {
  async 'PLAIN, and messages of every size come back with their correlation-id'() {
    const connection = connect(plain);
    const both = await links(connection);
    assert.equal(both.receiver.source.address, 'echo');
    for (const size of [0, 1, 500, 4096, 65_536, 100 * 1024, 130_000]) {
      const bytes = crypto.randomBytes(size);
      const id = crypto.randomUUID();
      const message = {
        correlation_id: id,
        application_properties: { 'iotdps-operation-type': 'iotdps-register', 'iotdps-forceRegistration': true },
        body: rhea.message.data_section(bytes),
      };
      const back = await echoed(both, message);
      assert.equal(back.correlation_id, id);
      assert.equal(back.application_properties['iotdps-forceRegistration'], true);
      assert.ok(back.body.content.equals(bytes), `size ${size}`);
    }
    await goodbye(connection);
  },
  async 'bare AMQP, with frames of 512 bytes, in small and large'() {
    const connection = connect({ max_frame_size: 512 });
    const both = await links(connection);
    for (const size of [10, 100 * 1024]) {
      const bytes = crypto.randomBytes(size);
      const back = await echoed(both, { body: rhea.message.data_section(bytes) });
      assert.ok(back.body.content.equals(bytes), `size ${size}`);
    }
    await goodbye(connection);
  },
  async 'an amqp-value body comes back'() {
    const connection = connect({});
    const back = await echoed(await links(connection), { body: 'iotdps-get-operationstatus', correlation_id: 7 });
    assert.equal(back.body, 'iotdps-get-operationstatus');
    assert.equal(back.correlation_id, 7);
    await goodbye(connection);
  },
  async 'a mechanism of several rounds'() {
    const connection = connect(rounds);
    const back = await echoed(await links(connection), { body: 'x' });
    assert.equal(back.body, 'x');
    assert.deepEqual(steps, [1, 400, 400]);
    await goodbye(connection);
  },
  async 'a wrong password is refused'() {
    const connection = connect({ username: 'device', password: 'wrong' });
    const { context } = await once(connection, 'connection_error');
    assert.equal(context.connection.get_error().condition, 'amqp:unauthorized-access');
  },
  async '300 messages at once, more than the credit and the queue of a slow reader'() {
    const connection = connect(plain);
    const { sender, receiver } = await links(connection, { credit_window: 50 });
    let [sent, back] = [0, 0];
    const all = new Promise((resolve) => receiver.on('message', () => { back += 1; if (back === 300) resolve(); }));
    const send = () => { while (sent < 300 && sender.sendable()) { sender.send({ body: `message ${sent}` }); sent += 1; } };
    sender.on('sendable', send);
    send();
    await all;
    await goodbye(connection);
  },
  async 'a refused link is detached with its error'() {
    const connection = connect(plain);
    await once(connection, 'connection_open');
    for (const open of ['open_receiver', 'open_sender']) {
      const link = connection[open]('refused');
      const { name } = await once(link, 'receiver_error', 'sender_error');
      assert.equal(link.error.condition, 'amqp:not-found', name);
      assert.equal(link.error.description, '{"errorCode":404201}');
    }
    await goodbye(connection);
  },
  async 'a rejected message tells why, with its map'() {
    const connection = connect(plain);
    const { sender } = await links(connection);
    sender.send({ subject: 'reject', body: 'x' });
    const { context } = await once(sender, 'rejected');
    const { error } = context.delivery.remote_state;
    assert.equal(error.condition, 'com.microsoft:device-container-throttled');
    assert.equal(error.description, '{"errorCode":429001}');
    assert.equal(error.info['retry-after'], 3);
    await goodbye(connection);
  },
  async 'a link is detached with an error, and the connection goes on'() {
    const connection = connect(plain);
    const both = await links(connection);
    both.sender.send({ subject: 'detach', body: 'x' });
    await once(both.sender, 'sender_error');
    assert.equal(both.sender.error.info['retry-after'], 3);
    const sender = connection.open_sender({ target: 'echo' });
    await once(sender, 'sendable');
    assert.equal((await echoed({ ...both, sender }, { body: 'again' })).body, 'again');
    await goodbye(connection);
  },
  async 'the connection is closed with an error'() {
    const connection = connect(plain);
    const { sender } = await links(connection);
    sender.send({ subject: 'close', body: 'x' });
    await once(connection, 'connection_error');
    assert.equal(connection.error.description, '{"errorCode":429001}');
  },
  async 'credit by hand and a drain'() {
    const connection = connect(plain);
    const { sender, receiver } = await links(connection, { credit_window: 0 });
    sender.send({ body: 'one' });
    await once(sender, 'accepted');
    const [message, drained] = [once(receiver, 'message'), once(receiver, 'receiver_drained')];
    receiver.drain = true;
    receiver.add_credit(5);
    assert.equal((await message).context.message.body, 'one');
    await drained;
    assert.equal(receiver.credit, 0);
    await goodbye(connection);
  },
  async 'signs of life keep a silent connection open'() {
    const connection = connect({ ...plain, idle_time_out: 1000 });
    await once(connection, 'connection_open');
    await new Promise((resolve) => setTimeout(resolve, 3500));
    assert.ok(connection.is_open());
    await goodbye(connection);
  },
};

(async () => {
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok      ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}: ${error.stack}`);
    }
  }
  console.log(`${Object.keys(checks).length - failed} of ${Object.keys(checks).length} hold with rhea ${require('rhea/package.json').version}`);
  process.exit(failed ? 1 : 0);
})();
