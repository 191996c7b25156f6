//! The port's promises against a real broker.

#![allow(clippy::unwrap_used)]

mod bed;

use bed::{ADMIN, Bed, KEY, USHER, id, spec, twin, with};
use usher_domain::{
    Secret,
    hub_device::{DeviceCredential, InitialTwin},
};
use usher_hub::{Hub as _, HubError, TwinWrite};

#[tokio::test]
async fn a_device_is_made_with_its_twin_and_made_again_without_a_change() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    assert_eq!(hub.read_twin(&id("d")).await, Ok(None));
    for _ in 0..3 {
        assert_eq!(hub.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("red"))).await, Ok(()));
        assert_eq!(hub.read_twin(&id("d")).await, Ok(Some(twin("red"))));
    }
    let (client, saved) = (bed.saved_client("d").unwrap(), bed.saved());
    assert_eq!((client["clientid"].as_str(), client["textname"].as_str()), (Some("d"), Some("usher")));
    assert_eq!((saved["clients"].as_array().unwrap().len(), saved["roles"].as_array().unwrap().len()), (3, 3), "{saved}");
    assert!(!saved.to_string().contains(KEY) && !bed.log().contains(KEY), "a key in the open");
}

#[tokio::test]
async fn the_twin_of_a_device_that_was_there_stays_unless_it_is_to_be_replaced() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    hub.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("red"))).await.unwrap();
    let lived = r#"{"desired":{"color":"lived","$version":4}}"#;
    bed.set("devices/d/twin/desired", lived);
    bed.publish("d", KEY, "devices/d/twin/reported", &["-r", "-m", "{}"]);
    hub.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("blue"))).await.unwrap();
    let kept = hub.read_twin(&id("d")).await.unwrap().unwrap();
    assert_eq!(kept, InitialTwin { tags: twin("red").tags, desired: twin("lived").desired });
    assert_eq!(bed.retained("devices/d/twin/reported").as_deref(), Some("{}"));
    for _ in 0..2 {
        hub.ensure_device(&spec("d"), TwinWrite::Replace(&twin("blue"))).await.unwrap();
        assert_eq!(hub.read_twin(&id("d")).await, Ok(Some(twin("blue"))));
        assert_eq!(bed.retained("devices/d/twin/reported"), None);
    }
}

#[tokio::test]
async fn what_a_run_that_died_has_left_is_no_device_and_is_finished_by_the_next() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    // Died after the twin; then after the role, which it made with other rules.
    bed.set("devices/d/twin/desired", r#"{"desired":{"color":"half"}}"#);
    assert_eq!(hub.read_twin(&id("d")).await, Ok(None));
    bed.control(&["createRole", "usher-device/d"]);
    bed.control(&["addRoleACL", "usher-device/d", "subscribePattern", "#", "allow"]);
    assert_eq!(hub.read_twin(&id("d")).await, Ok(None));
    hub.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("red"))).await.unwrap();
    assert_eq!(hub.read_twin(&id("d")).await, Ok(Some(twin("red"))));
    assert!(bed.hear("d", KEY, "#").is_err(), "the role has kept a foreign rule");
    assert_eq!(bed.hear("d", KEY, "devices/d/twin/desired").as_deref(), Ok(r#"{"desired":{"color":"red"}}"#));
}

#[tokio::test]
async fn a_twin_that_the_broker_lost_is_set_again_and_a_lost_role_given_back() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    hub.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("red"))).await.unwrap();
    bed.set("devices/d/twin/desired", "");
    bed.control(&["deleteRole", "usher-device/d"]);
    assert_eq!(hub.read_twin(&id("d")).await, Ok(None));
    hub.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin("blue"))).await.unwrap();
    let mended = InitialTwin { tags: twin("red").tags, desired: twin("blue").desired };
    assert_eq!(hub.read_twin(&id("d")).await, Ok(Some(mended)));
    assert!(bed.hear("d", KEY, "devices/d/twin/desired").is_ok());
}

#[tokio::test]
async fn a_device_is_removed_with_all_it_had_and_its_absence_is_success() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    for device in ["d", "e"] {
        hub.ensure_device(&spec(device), TwinWrite::IfCreated(&twin(device))).await.unwrap();
    }
    bed.publish("d", KEY, "devices/d/twin/reported", &["-r", "-m", "{}"]);
    for _ in 0..2 {
        assert_eq!(hub.delete_device(&id("d")).await, Ok(()));
        assert_eq!(hub.read_twin(&id("d")).await, Ok(None));
    }
    assert!(!bed.saved().to_string().contains("device/d"));
    assert_eq!(bed.retained("devices/d/#"), None);
    assert!(bed.hear("d", KEY, "devices/d/twin/desired").is_err());
    assert_eq!(hub.read_twin(&id("e")).await, Ok(Some(twin("e"))));
}

#[tokio::test]
async fn clients_that_usher_did_not_make_are_left_alone() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    bed.control(&["createClient", "press", "-p", "theirs"]);
    for name in ["press", ADMIN, USHER] {
        let refused = hub.ensure_device(&spec(name), TwinWrite::Replace(&twin("red"))).await.unwrap_err();
        assert!(matches!(&refused, HubError::Rejected(why) if why.contains(name)), "{refused}");
        let before = bed.saved_client(name).unwrap();
        assert_eq!(hub.read_twin(&id(name)).await, Ok(None));
        assert_eq!(hub.delete_device(&id(name)).await, Ok(()));
        assert_eq!(bed.saved_client(name).unwrap(), before);
        assert_eq!(bed.retained(&format!("devices/{name}/#")), None, "{name}");
    }
}

#[tokio::test]
async fn ids_that_a_broker_would_misread_are_refused_and_other_strange_ones_serve() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    for hostile in ["+", "#", "a+", "a#b", "%u", "%c"] {
        let refused = hub.ensure_device(&spec(hostile), TwinWrite::IfCreated(&twin("red"))).await;
        assert!(matches!(refused, Err(HubError::Rejected(_))), "{hostile}");
        assert_eq!(hub.read_twin(&id(hostile)).await, Ok(None));
        assert_eq!(hub.delete_device(&id(hostile)).await, Ok(()));
    }
    let longest = "x".repeat(128);
    for strange in ["$SYS", "$share", "a:b.c_d-e", "*?!(),=@;$'", "Case", "case", &longest] {
        hub.ensure_device(&spec(strange), TwinWrite::IfCreated(&twin(strange))).await.unwrap();
        assert_eq!(hub.read_twin(&id(strange)).await, Ok(Some(twin(strange))), "{strange}");
        let heard = bed.hear(strange, KEY, &format!("devices/{strange}/twin/desired")).unwrap();
        assert!(heard.contains(strange), "{heard}");
    }
}

#[tokio::test]
async fn what_a_device_could_not_use_is_refused() {
    let Some(bed) = Bed::start() else { return };
    let hub = bed.hub();
    let keys = DeviceCredential::TpmKeys { primary: Secret::new(KEY), secondary: Secret::new(KEY) };
    let refused = hub.ensure_device(&with("tpm", keys), TwinWrite::IfCreated(&twin("red"))).await.unwrap_err();
    assert!(matches!(&refused, HubError::Rejected(why) if why.contains("TPM")), "{refused}");
    assert_eq!(bed.saved_client("tpm"), None);
}

#[tokio::test]
async fn forty_devices_at_once_get_each_its_own() {
    let Some(bed) = Bed::start() else { return };
    let hub = std::sync::Arc::new(bed.hub());
    let mut work = tokio::task::JoinSet::new();
    for n in 0..40 {
        let hub = hub.clone();
        work.spawn(async move {
            let (name, large) = (format!("d{n}"), InitialTwin { tags: twin(&"t".repeat(16_000)).tags, ..twin(&n.to_string()) });
            hub.ensure_device(&spec(&name), TwinWrite::IfCreated(&large)).await.unwrap();
            hub.ensure_device(&spec(&name), TwinWrite::IfCreated(&twin("another"))).await.unwrap();
            assert_eq!(hub.read_twin(&id(&name)).await, Ok(Some(large)), "{name}");
        });
    }
    work.join_all().await;
    assert_eq!(bed.saved()["clients"].as_array().unwrap().len(), 42);
}
