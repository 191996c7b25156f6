'use strict';
// Lets the TPM take the key out of a challenge, and signs a text with it: what Azure's SDK does before it asks to be registered.
const { run, call } = require('./job');
const { tpmClient } = require('./tpm');

run(async (job) => {
  const client = tpmClient();
  await call(client, 'getEndorsementKey');
  await call(client, 'activateIdentityKey', Buffer.from(job.authenticationKey, 'base64'));
  const signature = await call(client, 'signWithIdentity', Buffer.from(job.text));
  return { signature: signature.toString('base64') };
});
