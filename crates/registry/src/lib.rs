//! A provisioning service's records and the rules for changing them.
