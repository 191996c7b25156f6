'use strict';
// Tells the TPM's endorsement key and the registration ID that the SDK makes of it: what an operator enrolls.
const { run, call } = require('./job');
const { tpmClient } = require('./tpm');

run(async () => {
  const client = tpmClient();
  const endorsementKey = (await call(client, 'getEndorsementKey')).toString('base64');
  return { endorsementKey, registrationId: await call(client, 'getRegistrationId') };
});
