//! The commands that operate an installation, against a running `usher dev`.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Time for the server to become ready.
const READY_MAX: Duration = Duration::from_secs(30);

struct Dev {
    folder: PathBuf,
    process: Child,
}

impl Dev {
    fn start(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let arguments = ["dev", "--https-port", "0", "--mqtts-port", "0", "--amqps-port", "0", "--log", "off"];
        let process = Command::new(env!("CARGO_BIN_EXE_usher")).args(arguments).current_dir(&folder).stdout(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while !folder.join(".usher/dev.json").exists() {
            assert!(started.elapsed() < READY_MAX, "usher dev is not ready");
            sleep(Duration::from_millis(20));
        }
        Self { folder, process }
    }

    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_usher")).args(line.split(' ')).current_dir(&self.folder).output().unwrap()
    }

    fn text(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.text(&format!("{line} --json"))).unwrap()
    }

    fn refusal(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(!output.status.success(), "{line} was done");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_service_is_made_gets_hubs_and_is_deleted() {
    let dev = Dev::start("operate-life");
    let made = dev.json("service create plant --tag site=a --id-scope 0neFACADE --allocation geo-latency");
    assert_eq!((made["properties"]["idScope"].as_str(), made["tags"]["site"].as_str()), (Some("0neFACADE"), Some("a")));
    assert!(dev.text("hub list --service plant").contains("has no hub"));
    dev.text("hub link localhost --region local --weight 2 --service plant");
    let far = "HostName=far.example;SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0c2VjcmV0";
    dev.text(&format!("hub link {far} --region far --not-by-policy --service plant"));
    let hubs = dev.json("hub update far.example --weight 7 --service plant");
    assert_eq!((hubs[0]["allocationWeight"].as_i64(), hubs[1]["allocationWeight"].as_i64()), (Some(2), Some(7)));
    assert_eq!(hubs[1]["applyAllocationPolicy"], false);
    assert!(hubs[1]["connectionString"].as_str().unwrap().contains("****"));
    assert_eq!(dev.json("hub unlink localhost --service plant").as_array().unwrap().len(), 1);
    let shown = dev.text("service show plant --keys");
    assert!(shown.contains("HostName=plant.localhost:") && shown.contains("SharedAccessKey="), "{shown}");
    assert!(dev.text("service list").lines().count() == 4, "a head and two services");
    let used = dev.json("usage --months 2");
    assert_eq!((used[0]["service"].as_str(), used[1]["months"].as_array().unwrap().len()), (Some("dev"), 2));
    assert!(dev.refusal("service delete plant").contains("--yes"));
    dev.text("service delete plant --yes");
    assert!(dev.refusal("service show plant").contains("no provisioning service plant"));
}

#[test]
fn what_goes_wrong_is_told_with_what_to_do() {
    let dev = Dev::start("operate-wrong");
    for (line, word) in [
        ("service create dev", "already"),
        ("service create -x-", "unexpected argument"),
        ("service create 12", "3 to 50"),
        ("service update dev", "--tag or --allocation"),
        ("hub link nobody.example --region x", "not one of this server"),
        ("hub link localhost --region x", "linked twice"),
        ("hub unlink nobody", "it has localhost"),
        ("service list --token wrong", "--token"),
        ("service list --state nowhere", "Start `usher dev`"),
        ("service list --url https://localhost:1 --trust .usher/ca.pem --token x", "Is the server running"),
        ("usage --months 40", "1..=36"),
    ] {
        let told = dev.refusal(line);
        assert!(told.contains(word), "{line}: {told}");
    }
}
