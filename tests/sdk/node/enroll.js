'use strict';
// Creates an enrollment or a group through Azure's service SDK.
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { run } = require('./job');

run(async ({ service, enrollments = [], groups = [] }) => {
  const client = ProvisioningServiceClient.fromConnectionString(service);
  for (const enrollment of enrollments) await client.createOrUpdateIndividualEnrollment(enrollment);
  for (const group of groups) await client.createOrUpdateEnrollmentGroup(group);
  return {};
});
