//! The tables of this crate. Their numbers are part of the disk format: never change or reuse one. This crate owns 1 to 31.
//!
//! The first four hold records of the system itself (tenant 0), the others a service's own.

use usher_store::Space;

/// One record: the next tenant number. Rewritten with every change of a service, so that its ETag tells whether a cache is current.
pub const DIRECTORY: Space = Space(1);
/// Provisioning services by name.
pub const SERVICES: Space = Space(2);
/// A service's name by its ID scope.
pub const SERVICE_BY_SCOPE: Space = Space(3);
/// A service's name by its host name.
pub const SERVICE_BY_HOST: Space = Space(4);

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
