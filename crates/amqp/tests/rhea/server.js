// A server made of rhea for examples/roundtrip.rs: checks the engine's client side. Not part of `cargo test`.
//   NODE_PATH=tests/sdk/node/node_modules node crates/amqp/tests/rhea/server.js 15673 &
//   cargo run -p usher-amqp --example roundtrip -- 15673
// rhea takes either SASL or bare AMQP on a port, so the bare one is the next port.
'use strict';
const rhea = require('rhea');
const port = Number(process.argv[2] || 5673);

function echo(container) {
  let replies;
  container.on('sender_open', ({ sender }) => {
    sender.set_source(sender.source);
    if (sender.source.address === 'refused') sender.close({ condition: 'amqp:not-found', description: 'no such node' });
    else replies = sender;
  });
  container.on('receiver_open', ({ receiver }) => receiver.set_target(receiver.target));
  container.on('message', ({ message, delivery }) => {
    if (message.subject === 'reject') return delivery.reject({ condition: 'amqp:not-allowed', description: 'told to', info: { 'retry-after': 3 } });
    delivery.accept();
    return replies.send({ correlation_id: message.correlation_id, application_properties: message.application_properties, body: message.body });
  });
  return container;
}

const listen = (container, at) => container.listen({ port: at, host: '127.0.0.1', receiver_options: { autoaccept: false }, max_frame_size: 4096 });

const secured = echo(rhea.create_container());
secured.sasl_server_mechanisms.enable_plain((user, password) => user === 'device' && password === 'secret');
secured.sasl_server_mechanisms.ROUNDS = () => {
  let steps = 0;
  return {
    start: () => Buffer.from([0]),
    step(response) {
      steps += 1;
      if (steps === 3) this.outcome = response.toString() === 'proof';
      return Buffer.from([steps]);
    },
  };
};
listen(secured, port);
listen(echo(rhea.create_container()), port + 1);
