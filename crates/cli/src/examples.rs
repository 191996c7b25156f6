//! Examples for each command's help, manual page and reference. A test parses every one of them.

use clap::Command;

use crate::ended::EXIT_CODES;

/// Commands by their path, each with examples: what it does, then the line.
pub const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "dev",
        &[
            ("A service in this folder, on the standard ports where they can be had", "usher dev"),
            (
                "Free ports, two hubs, for a test suite",
                "usher dev --state ./state --https-port 0 --mqtts-port 0 --amqps-port 0 --hub west=westeurope --hub north=northeurope",
            ),
        ],
    ),
    ("serve", &[("A node of an installation", "usher serve --config /etc/usher/usher.toml")]),
    ("demo", &[("Provision simulated devices in every way", "usher demo")]),
    ("keys list", &[("Which master keys wrap what, and the server's cryptographic module", "usher keys list")]),
    ("keys rotate", &[("All data keys under the current master key", "usher keys rotate")]),
    (
        "keys renew",
        &[
            ("A fresh data key for a service's records", "usher keys renew --service plant-2"),
            ("One for the system's own", "usher keys renew --system"),
        ],
    ),
    (
        "keys make",
        &[(
            "A master key in SoftHSM",
            "usher keys make --module /usr/lib/softhsm/libsofthsm2.so --token usher --key master --pin-file /etc/usher/pin",
        )],
    ),
    ("keys module", &[("Is this a FIPS build?", "usher keys module")]),
    ("explain", &[("Why did this device not get in?", "usher explain press-7")]),
    (
        "device provision",
        &[
            ("By its symmetric key", "usher device provision --registration-id press-7 --key dGhlIGRldmljZSdzIGtleQ=="),
            (
                "By its certificate, over AMQP, and read its twin",
                "usher device provision --registration-id press-7 --cert chain.pem --cert-key key.pem --transport amqp --twin",
            ),
            (
                "Have a certificate issued and use it at the hub",
                "usher device provision --registration-id press-7 --key dGhlIGRldmljZSdzIGtleQ== --csr ./identity --twin",
            ),
        ],
    ),
    ("device tpm", &[("What to enroll of this machine's TPM", "usher device tpm")]),
    (
        "enrollment list",
        &[
            ("The first hundred", "usher enrollment list"),
            (
                "Those that are disabled, as JSON",
                "usher enrollment list --query \"SELECT * FROM enrollments WHERE provisioningStatus = 'disabled'\" --json",
            ),
        ],
    ),
    ("enrollment show", &[("One, with its keys", "usher enrollment show press-7 --keys")]),
    (
        "enrollment create",
        &[
            ("With keys that the service makes", "usher enrollment create press-7 --symmetric-key generate --keys"),
            (
                "By the device's certificate, on one hub, with a twin",
                "usher enrollment create press-7 --certificate press-7.pem --hub hub.example --twin '{\"desired\":{\"line\":7}}'",
            ),
            ("By the TPM's endorsement key", "usher enrollment create press-7 --tpm-ek AToAAQALAAMAsgAg"),
            ("All of it from a file", "usher enrollment create press-7 --from-json press-7.json"),
        ],
    ),
    (
        "enrollment update",
        &[
            ("Another twin, and the device keeps its hub", "usher enrollment update press-7 --twin twin.json --reprovision keep"),
            ("Only if nobody changed it meanwhile", "usher enrollment update press-7 --edge --etag 0000000000000a1b"),
        ],
    ),
    ("enrollment delete", &[("One", "usher enrollment delete press-7")]),
    ("enrollment enable", &[("Admit it again", "usher enrollment enable press-7")]),
    ("enrollment disable", &[("Admit it no more", "usher enrollment disable press-7")]),
    ("enrollment keys", &[("For a script", "usher enrollment keys press-7 --json")]),
    (
        "enrollment import",
        &[
            ("A million lines; after any end the same command goes on", "usher enrollment import devices.csv"),
            ("Only look what is wrong with the file", "usher enrollment import devices.csv --check"),
            ("From a pipe, replacing what differs", "usher enrollment import - --format jsonl --update"),
        ],
    ),
    (
        "enrollment export",
        &[
            ("With keys, for another service", "usher enrollment export devices.csv --keys"),
            ("Into a pipe", "usher enrollment export - --format jsonl"),
        ],
    ),
    ("group list", &[("All", "usher group list")]),
    ("group show", &[("One", "usher group show line-4")]),
    (
        "group create",
        &[
            ("By a CA certificate", "usher group create line-4 --ca ca.pem --allocation hashed"),
            ("By the name of an uploaded CA certificate", "usher group create line-4 --ca-reference plant-root"),
            (
                "By a key that devices' keys are derived from; a webhook chooses the hub",
                "usher group create line-4 --symmetric-key generate --webhook https://chooser.example/api",
            ),
        ],
    ),
    ("group update", &[("Two hubs to choose from", "usher group update line-4 --hub a.example --hub b.example")]),
    ("group delete", &[("One", "usher group delete line-4")]),
    ("group enable", &[("Admit its devices again", "usher group enable line-4")]),
    ("group disable", &[("Admit its devices no more", "usher group disable line-4")]),
    ("group keys", &[("The keys that devices' keys are derived from", "usher group keys line-4")]),
    ("group import", &[("From JSON lines", "usher group import groups.jsonl")]),
    ("group export", &[("To JSON lines, with keys", "usher group export groups.jsonl --keys")]),
    ("registration list", &[("The devices of a group", "usher registration list --group line-4")]),
    ("registration show", &[("Where is it?", "usher registration show press-7")]),
    ("registration delete", &[("Forget where it is", "usher registration delete press-7")]),
    ("certificate list", &[("All, with whether they are verified", "usher certificate list")]),
    ("certificate show", &[("One", "usher certificate show plant-root")]),
    ("certificate upload", &[("To be proved next", "usher certificate upload plant-root ca.pem")]),
    ("certificate prove", &[("With the CA's key, which stays here", "usher certificate prove plant-root --key ca.key")]),
    ("certificate generate-code", &[("Where the CA's key is elsewhere", "usher certificate generate-code plant-root")]),
    ("certificate verify", &[("With the certificate that was signed there", "usher certificate verify plant-root proof.pem")]),
    ("certificate delete", &[("One", "usher certificate delete plant-root")]),
    ("service list", &[("All", "usher service list")]),
    ("service show", &[("One with its keys", "usher service show plant-2 --keys")]),
    (
        "service create",
        &[("One for devices that have an ID scope already", "usher service create plant-2 --id-scope 0neFACADE --allocation geo-latency")],
    ),
    (
        "service update",
        &[(
            "Another allocation policy, one tag set and one removed",
            "usher service update plant-2 --allocation hashed --tag site=north --tag old",
        )],
    ),
    (
        "service keys",
        &[
            ("All connection strings", "usher service keys plant-2"),
            (
                "A policy for a factory that only enrolls",
                "usher service keys plant-2 --policy factory --right enrollment-read --right enrollment-write",
            ),
            ("A new key for it", "usher service keys plant-2 --policy factory --regenerate secondary"),
        ],
    ),
    ("service delete", &[("With everything in it", "usher service delete plant-2 --yes")]),
    ("hub list", &[("Those of a service", "usher hub list --service plant-2")]),
    ("hub update", &[("A larger share", "usher hub update hub.example --weight 5")]),
    ("hub unlink", &[("No new devices for it", "usher hub unlink hub.example")]),
    ("ca list", &[("All", "usher ca list")]),
    ("ca show", &[("Its certificate, for a hub that is to trust it", "usher ca show plant-certs --pem")]),
    (
        "ca create",
        &[
            ("One whose key usher makes and keeps", "usher ca create plant-certs --validity-days 30 --key-type P-384"),
            ("One that exists", "usher ca create plant-certs --chain ca-and-root.pem --key ca.key"),
            ("One that is asked by EST", "usher ca create plant-certs --est https://est.example --est-user usher --est-password -"),
        ],
    ),
    ("ca update", &[("A longer validity from now on", "usher ca update plant-certs --validity-days 90")]),
    ("ca delete", &[("With its key", "usher ca delete plant-certs --yes")]),
    ("audit list", &[("The last fifty changes", "usher audit list")]),
    (
        "audit verify",
        &[("Whether the log is whole, and still has what was seen before", "usher audit verify --digest 00793675959c0f2748103ee59b443938")],
    ),
    ("keys list", &[("All", "usher keys list")]),
    ("keys rotate", &[("After a new master key was put in front", "usher keys rotate")]),
    ("keys renew", &[("One service's", "usher keys renew --service plant-2")]),
    (
        "keys make",
        &[(
            "In a software token",
            "usher keys make --module /usr/lib/softhsm/libsofthsm2.so --token usher --key master-2 --pin-file /etc/usher/pin",
        )],
    ),
    ("keys module", &[("Which it is", "usher keys module")]),
    ("usage", &[("The last year", "usher usage --months 12")]),
    (
        "backup",
        &[
            ("Of a state folder, named by the time; the server may run", "usher backup --state .usher --to /var/backups"),
            ("Of what a configuration names", "usher backup --config usher.toml --to usher.backup --json"),
        ],
    ),
    (
        "restore",
        &[
            ("To a new state folder", "usher restore --from usher.backup --to .usher --master-key master.key"),
            ("To where a configuration says", "usher restore --from usher.backup --to usher.toml"),
        ],
    ),
    (
        "migrate",
        &[
            ("From a folder to a database", "usher migrate --from .usher --to postgres://usher@db.example/usher"),
            ("From one configuration to another", "usher migrate --from old.toml --to new.toml"),
        ],
    ),
    (
        "check",
        &[
            ("A store", "usher check --state .usher"),
            ("A backup", "usher check --from usher.backup --master-key master.key"),
            ("That a restored copy holds the same", "usher check --state restored --against usher.backup"),
        ],
    ),
    ("completions", &[("For bash, for this user", "usher completions bash")]),
    ("man", &[("For everybody", "usher man --to /usr/local/share/man/man1")]),
];

/// Adds the examples below each command's help, and the exit codes below that of `usher`.
pub fn add_to(command: Command) -> Command {
    let codes: Vec<String> = EXIT_CODES.iter().map(|(code, what)| format!("  {code}  {what}")).collect();
    let command = command.after_help(format!("Exit codes:\n{}\n\n`usher` alone tells how to begin.", codes.join("\n")));
    EXAMPLES.iter().fold(command, |command, (path, examples)| add(command, &path.split(' ').collect::<Vec<_>>(), examples))
}

fn add(command: Command, path: &[&str], examples: &[(&str, &str)]) -> Command {
    let Some((first, rest)) = path.split_first() else { return with(command, examples) };
    if command.find_subcommand(first).is_none() {
        return command;
    }
    command.mut_subcommand(*first, |below| add(below, rest, examples))
}

fn with(command: Command, examples: &[(&str, &str)]) -> Command {
    let more = command.get_after_help().map(ToString::to_string).filter(|text| !text.is_empty());
    let lines: Vec<String> = examples.iter().map(|(what, line)| format!("  # {what}\n  {line}")).collect();
    let text = format!("Examples:\n{}", lines.join("\n"));
    command.after_help(more.map_or(text.clone(), |more| format!("{more}\n\n{text}")))
}
