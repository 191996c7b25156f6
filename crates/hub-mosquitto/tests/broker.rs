//! Brokers that are down, come back, or do not let usher in.

#![allow(clippy::unwrap_used)]

mod bed;

use std::{sync::Arc, time::Instant};

use bed::{Bed, KEY, RIGHTS, USHER, USHER_PASSWORD, id, spec, twin};
use rustls::RootCertStore;
use tokio::{net::TcpListener, time::Duration};
use usher_domain::Secret;
use usher_hub::{Hub as _, HubError, TwinWrite};
use usher_hub_mosquitto::MosquittoHub;

#[tokio::test]
async fn what_was_told_as_done_survives_a_crash_of_the_broker() {
    let Some(mut bed) = Bed::start() else { return };
    let hub = bed.hub();
    for n in 0..5 {
        let (device, color) = (format!("d{n}"), n.to_string());
        hub.ensure_device(&spec(&device), TwinWrite::IfCreated(&twin(&color))).await.unwrap();
        bed.kill();
        bed.run();
        let seen = hub.read_twin(&id(&device)).await;
        assert_eq!(seen, Ok(Some(twin(&color))));
        assert!(bed.hear(&device, KEY, &format!("devices/{device}/twin/desired")).unwrap().contains(&color));
    }
}

#[tokio::test]
async fn a_broker_that_is_down_is_unavailable_at_once_and_found_again_when_it_is_back() {
    let Some(mut bed) = Bed::start() else { return };
    let hub = bed.hub();
    bed.kill();
    let began = Instant::now();
    for _ in 0..100 {
        let error = hub.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("red"))).await.unwrap_err();
        assert!(matches!(&error, HubError::Unavailable(why) if why.contains("localhost")), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    bed.run();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(hub.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("red"))).await, Ok(()));
}

#[tokio::test]
async fn a_wrong_user_or_password_is_for_an_operator_to_mend() {
    let Some(bed) = Bed::start() else { return };
    for (user, password) in [("usher%40broker", "wrong"), ("nobody", "p%2Fss%3Aw%25rd%40")] {
        let error = bed.hub_as(user, password).read_twin(&id("d")).await.unwrap_err();
        assert!(matches!(&error, HubError::Unauthorized(why) if !why.contains(USHER_PASSWORD)), "{error}");
    }
}

#[tokio::test]
async fn a_broker_with_a_foreign_certificate_is_told_nothing() {
    let Some(bed) = Bed::start() else { return };
    let url = Secret::new(format!("mosquitto://u:p@localhost:{}", bed.port));
    let hub = MosquittoHub::new(&url, Arc::new(RootCertStore::empty())).unwrap();
    let error = hub.read_twin(&id("d")).await.unwrap_err();
    assert!(matches!(&error, HubError::Unavailable(why) if why.contains("TLS")), "{error}");
}

#[tokio::test]
async fn an_administrator_without_enough_rights_learns_which_are_missing() {
    let Some(bed) = Bed::start() else { return };
    let mute: Vec<_> = RIGHTS.into_iter().filter(|right| *right != ("publishClientSend", "devices/#")).collect();
    bed.admit("mute", "mute", &mute);
    let error = bed.hub_as("mute", "mute").ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("red"))).await.unwrap_err();
    assert!(matches!(&error, HubError::Unauthorized(why) if why.contains("publish to devices/#")), "{error}");
    assert_eq!(bed.saved_client("d"), None, "a device without a twin");
    bed.admit("deaf", "deaf", &RIGHTS[..3]);
    let error = bed.hub_as("deaf", "deaf").read_twin(&id("d")).await.unwrap_err();
    assert!(matches!(&error, HubError::Unauthorized(why) if why.contains("devices/d/twin")), "{error}");
    bed.admit("weak", "weak", &[]);
    let error = bed.hub_as("weak", "weak").read_twin(&id("d")).await.unwrap_err();
    assert!(matches!(&error, HubError::Unauthorized(why) if why.contains("subscribe")), "{error}");
}

#[tokio::test]
async fn a_broker_that_takes_commands_and_does_not_answer_is_named() {
    let Some(bed) = Bed::start() else { return };
    bed.admit("mute", "mute", &RIGHTS[1..]);
    let error = bed.hub_as("mute", "mute").read_twin(&id("d")).await.unwrap_err();
    assert!(matches!(&error, HubError::Unavailable(why) if why.contains("plugin") && why.contains("$CONTROL")), "{error}");
}

#[tokio::test]
async fn a_peer_that_accepts_and_says_nothing_costs_seconds_and_no_more() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Secret::new(format!("mosquitto://u:p@127.0.0.1:{}", silent.local_addr().unwrap().port()));
    let hub = MosquittoHub::new(&url, Arc::new(RootCertStore::empty())).unwrap();
    let began = Instant::now();
    let error = hub.read_twin(&id("d")).await.unwrap_err();
    assert!(matches!(error, HubError::Unavailable(_)) && began.elapsed() < Duration::from_secs(5), "{error}");
}

#[tokio::test]
async fn the_answers_of_other_administrators_are_none_of_ours() {
    let Some(bed) = Bed::start() else { return };
    let (ours, theirs) = (bed.hub(), bed.hub());
    let strange = r#"{"commands":[{"command":"getClient","username":"x","correlationData":"usher-0.1.0"},{"command":"?"}]}"#;
    for n in 0..20 {
        let (one, two) = (format!("a{n}"), format!("b{n}"));
        let (first, second) = (spec(&one), spec(&two));
        let color = twin("red");
        let done = tokio::join!(
            ours.ensure_device(&first, TwinWrite::IfCreated(&color)),
            theirs.ensure_device(&second, TwinWrite::IfCreated(&color))
        );
        assert_eq!(done, (Ok(()), Ok(())));
        if n % 10 == 0 {
            bed.publish(USHER, USHER_PASSWORD, "$CONTROL/dynamic-security/v1", &["-m", strange]);
        }
    }
}
