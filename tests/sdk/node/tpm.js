'use strict';
// Azure's TPM security client on the simulator's ports.

module.exports.tpmClient = function tpmClient() {
  const { TpmSecurityClient } = require('azure-iot-security-tpm');
  const tss = require('tss.js');
  return new TpmSecurityClient(undefined, new tss.Tpm(true));
};
