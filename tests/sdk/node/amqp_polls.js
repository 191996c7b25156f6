'use strict';
// A device that registers over AMQP and polls more often than it may: tells how each request ended. Plain rhea, since the SDK polls politely.

const rhea = require('rhea');
const { run } = require('./job');

run((job) => new Promise((resolve, reject) => {
  const address = `${job.idScope}/registrations/${job.id}`;
  const ends = [];
  const connection = rhea.create_container().connect({
    transport: 'tls', host: job.host, servername: job.host, port: job.port, username: address, password: job.token, reconnect: false,
  });
  let operation = '', sent = 0;
  const ask = (sender, type) => {
    sent += 1;
    sender.send({ correlation_id: String(sent), application_properties: { 'iotdps-operation-type': type, 'iotdps-operation-id': operation }, body: rhea.message.data_section(Buffer.from('{}')) });
  };
  const next = (sender) => (sent > job.polls ? (connection.close(), resolve({ ends })) : ask(sender, 'iotdps-get-operationstatus'));
  const receiver = connection.open_receiver({ source: address });
  let sender;
  receiver.on('receiver_open', () => { sender = connection.open_sender({ target: address }); sender.once('sendable', () => ask(sender, 'iotdps-register')); });
  receiver.on('message', (context) => {
    const body = context.message.body;
    operation = operation || JSON.parse(body.content ? body.content.toString() : body.toString()).operationId;
    ends.push({ accepted: true });
    next(sender);
  });
  connection.on('rejected', (context) => {
    const error = context.delivery.remote_state.error;
    ends.push({ condition: error.condition, info: error.info, description: JSON.parse(error.description) });
    next(sender);
  });
  for (const fault of ['error', 'connection_error', 'disconnected', 'receiver_error', 'sender_error']) {
    connection.on(fault, (context) => reject(context.error || new Error(fault)));
  }
}));
