'use strict';
// Azure's TPM security client on the simulator's ports.

module.exports.tpmClient = function tpmClient(registrationId) {
  const { TpmSecurityClient } = require('azure-iot-security-tpm');
  const tss = require('tss.js');
  return new TpmSecurityClient(registrationId, new tss.Tpm(true));
};
