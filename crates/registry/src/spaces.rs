//! The tables of this crate. Their numbers are part of the disk format: never change or reuse one. This crate owns 1 to 31.
//!
//! Those below 8 hold records of the system itself (tenant 0), the others a service's own.

use usher_store::Space;

/// One record: the next tenant number. Rewritten with every change of a service, so that its ETag tells whether a cache is current.
pub const DIRECTORY: Space = Space(1);
/// Provisioning services by name.
pub const SERVICES: Space = Space(2);
/// A service's name by its ID scope.
pub const SERVICE_BY_SCOPE: Space = Space(3);
/// A service's name by its host name.
pub const SERVICE_BY_HOST: Space = Space(4);

/// Deleted services whose records are still to be erased, by tenant number.
pub const DELETED: Space = Space(5);

/// Resource groups that were made by themselves, by name.
pub const RESOURCE_GROUPS: Space = Space(6);

/// Individual enrollments by registration ID.
pub const INDIVIDUAL: Space = Space(8);
/// Enrollment groups by ID.
pub const GROUP: Space = Space(9);
/// Group IDs under the subject name of each certificate that a group is enrolled with.
pub const GROUP_BY_SIGNER: Space = Space(10);
/// One record: the IDs of all symmetric key groups. Rewritten with every change of such a group.
pub const SYMMETRIC_GROUPS: Space = Space(11);
/// Registrations by registration ID.
pub const REGISTRATION: Space = Space(12);
/// Registration IDs under the group that admitted them last.
pub const REGISTRATION_BY_GROUP: Space = Space(13);
/// Registrations whose operation is under way.
pub const PENDING: Space = Space(14);
/// Counters: operations by month.
pub const USAGE: Space = Space(15);
/// Challenges sent to TPMs, by registration ID.
pub const CHALLENGE: Space = Space(16);
/// Uploaded CA certificates by name.
pub const CA_CERTIFICATE: Space = Space(17);
/// One record: the names of all uploaded CA certificates. Rewritten with every change of one, and of an enrollment that refers to one.
pub const CA_CERTIFICATES: Space = Space(18);
/// Group IDs under the name of each CA certificate that a group refers to.
pub const GROUP_BY_REFERENCE: Space = Space(19);
/// Registration IDs under the name of each CA certificate that an individual enrollment refers to.
pub const INDIVIDUAL_BY_REFERENCE: Space = Space(20);

/// Counters: how many enrollments of a kind are held. Beside each, while its limit is near, the record that guards it.
pub const HELD: Space = Space(24);
/// Credential policies by name.
pub const CREDENTIAL_POLICY: Space = Space(26);
/// One record: the names of all credential policies.
pub const CREDENTIAL_POLICIES: Space = Space(27);
/// Attempts of devices that the service knows, under their registration IDs.
pub const ATTEMPT: Space = Space(28);
/// A bounded number of places for attempts under other registration IDs.
pub const STRANGER_ATTEMPTS: Space = Space(29);

/// The tables of records that a service has of its own; its counters are no records.
pub const OF_A_SERVICE: [Space; 17] = [
    INDIVIDUAL,
    GROUP,
    GROUP_BY_SIGNER,
    SYMMETRIC_GROUPS,
    REGISTRATION,
    REGISTRATION_BY_GROUP,
    PENDING,
    CHALLENGE,
    CA_CERTIFICATE,
    CA_CERTIFICATES,
    GROUP_BY_REFERENCE,
    INDIVIDUAL_BY_REFERENCE,
    HELD,
    CREDENTIAL_POLICY,
    CREDENTIAL_POLICIES,
    ATTEMPT,
    STRANGER_ATTEMPTS,
];
