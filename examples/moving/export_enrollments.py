#!/usr/bin/env python3
"""Writes all enrollments of a provisioning service, keys included, one JSON object a line. The service can be Azure's or usher's.

    python3 export_enrollments.py CONNECTION_STRING [--groups] > enrollments.jsonl

Needs the package azure-iot-deviceprovisioning and a shared access policy with the right EnrollmentRead. The output holds secrets.
"""

import argparse
import json
import sys

from azure.iot.deviceprovisioning import DeviceProvisioningClient

# What the service adds by itself.
MADE_BY_THE_SERVICE = ("etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc", "registrationState")
# Each key is one more request; that many enrollments on a line of the terminal.
TELL_EVERY = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("connection_string")
    parser.add_argument("--groups", action="store_true", help="enrollment groups instead of individual enrollments")
    options = parser.parse_args()
    client = DeviceProvisioningClient.from_connection_string(options.connection_string)
    if options.groups:
        query, mechanism, name = client.enrollment_group.query, client.enrollment_group.get_attestation_mechanism, "enrollmentGroupId"
    else:
        query, mechanism, name = client.enrollment.query, client.enrollment.get_attestation_mechanism, "registrationId"
    count = 0
    for enrollment in query({"query": "SELECT *"}):
        enrollment = dict(enrollment)
        if enrollment["attestation"]["type"] == "symmetricKey":
            # A query leaves the keys out.
            enrollment["attestation"] = dict(mechanism(enrollment[name]))
        for member in MADE_BY_THE_SERVICE:
            enrollment.pop(member, None)
        print(json.dumps(enrollment, default=dict))
        count += 1
        if count % TELL_EVERY == 0:
            print(f"{count} enrollments", file=sys.stderr)
    print(f"{count} enrollments; the output holds their keys", file=sys.stderr)


if __name__ == "__main__":
    main()
