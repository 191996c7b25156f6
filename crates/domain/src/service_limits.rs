//! What one provisioning service lets happen: rates and numbers, each set for the service, the cloud's own by default
//! (MicrosoftDocs/azure-docs: includes/iot-dps-limits.md, of March 2024).

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// So many requests in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// Requests; so many may also come at once.
    pub count: NonZeroU32,
    /// Seconds.
    pub seconds: NonZeroU32,
}

impl Rate {
    /// A rate; 0 of either counts as 1.
    pub const fn of(count: u32, seconds: u32) -> Self {
        const fn some(number: u32) -> NonZeroU32 {
            match NonZeroU32::new(number) {
                Some(number) => number,
                None => NonZeroU32::MIN,
            }
        }
        Self { count: some(count), seconds: some(seconds) }
    }

    /// The seconds, in microseconds.
    pub const fn period_micros(self) -> i64 {
        self.seconds.get() as i64 * 1_000_000
    }

    /// Microseconds between two requests at this rate, rounded down, at least 1.
    pub const fn interval_micros(self) -> i64 {
        let interval = self.period_micros() / self.count.get() as i64;
        if interval > 0 { interval } else { 1 }
    }

    /// Whole seconds between two requests at this rate, rounded up.
    pub const fn interval_s(self) -> u32 {
        self.seconds.get().div_ceil(self.count.get())
    }
}

/// The limits of one service; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceLimits {
    /// Calls of the service API, and a device's looking up its registration, for the whole service.
    pub operations: Option<Rate>,
    /// Requests to register, of all devices.
    pub registrations: Option<Rate>,
    /// Polls of an operation, of each device.
    pub polls_per_device: Option<Rate>,
    /// Individual enrollments held.
    pub individual_enrollments: Option<u32>,
    /// Enrollment groups with X.509 attestation held.
    pub x509_groups: Option<u32>,
    /// Registrations held: devices that have registered and were not deleted.
    pub registrations_held: Option<u32>,
}

impl ServiceLimits {
    /// The cloud's.
    pub const DPS: Self = Self {
        operations: Some(Rate::of(1_000, 60)),
        registrations: Some(Rate::of(1_000, 60)),
        polls_per_device: Some(Rate::of(5, 10)),
        individual_enrollments: Some(1_000_000),
        x509_groups: Some(100),
        registrations_held: Some(1_000_000),
    };

    /// None at all, for development and CI, where waiting proves nothing.
    pub const NONE: Self = Self {
        operations: None,
        registrations: None,
        polls_per_device: None,
        individual_enrollments: None,
        x509_groups: None,
        registrations_held: None,
    };

    /// Seconds after which a device is asked to poll again while its assignment is under way: within its rate, and at least 1.
    ///
    /// 1 is the least that the C, Python and Node SDKs honour; Java and .NET raise it to their own minimum of 2 (azure-iot-sdk-java:
    /// ProvisioningDeviceClientContract.java, azure-iot-sdk-csharp: ProvisioningTransportHandlerMqtt.cs).
    pub fn poll_after_s(&self) -> u32 {
        self.polls_per_device.map_or(1, Rate::interval_s)
    }
}

impl Default for ServiceLimits {
    fn default() -> Self {
        Self::DPS
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records_that_say_nothing_have_the_clouds_limits_and_null_is_none() {
        assert_eq!(serde_json::from_str::<ServiceLimits>("{}").unwrap(), ServiceLimits::DPS);
        let read: ServiceLimits = serde_json::from_str(r#"{"operations":null,"x509Groups":5}"#).unwrap();
        assert_eq!(read, ServiceLimits { operations: None, x509_groups: Some(5), ..ServiceLimits::DPS });
        let text = serde_json::to_string(&ServiceLimits::NONE).unwrap();
        assert_eq!(serde_json::from_str::<ServiceLimits>(&text).unwrap(), ServiceLimits::NONE);
    }

    #[test]
    fn a_device_is_asked_to_poll_within_its_rate() {
        assert_eq!(ServiceLimits::DPS.poll_after_s(), 2);
        assert_eq!(ServiceLimits::NONE.poll_after_s(), 1);
    }
}
