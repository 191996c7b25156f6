'use strict';
// Tells the TPM's public keys and the registration ID that the SDK makes of them: what an operator enrolls.
const { run, call } = require('./job');
const { tpmClient } = require('./tpm');

run(async () => {
  const client = tpmClient();
  const endorsementKey = (await call(client, 'getEndorsementKey')).toString('base64');
  const storageRootKey = (await call(client, 'getStorageRootKey')).toString('base64');
  return { endorsementKey, storageRootKey, registrationId: await call(client, 'getRegistrationId') };
});
