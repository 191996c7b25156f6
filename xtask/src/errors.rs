//! The page of errors, made of the table in code, so that the two cannot disagree.

use std::fs;

use usher_domain::ErrorCode;

use crate::files;

/// Where the page lies.
const PAGE: &str = "docs/errors.md";
const HEAD: &str = "\
# Errors

Made by `cargo run -p xtask -- errors` from `crates/domain/src/error/table.rs`; change it there.

Every refusal has this shape, as HTTP body, as MQTT payload under a topic with the status, or as the description of an AMQP error:

```json
{\"errorCode\":401002,\"trackingId\":\"…\",\"message\":\"Invalid certificate.\",\"timestampUtc\":\"2026-11-24T12:00:00.0000000Z\"}
```

`errorCode` is the status times 1000 plus a detail. Over HTTPS the name is sent too, as `x-ms-error-code`. The tracking ID is in the
server's log, beside the whole reason. The message is the default one below or a closer one. Codes 400207 to 400211 also end
registrations that were accepted: the operation's `status` is then `failed`, and its `registrationState` holds `errorCode` and
`errorMessage`. A registration ended by a disabled enrollment has the status `disabled` and no code.

Where the digits come from is said in the last column: the cloud publishes statuses and few codes
([protocol/errors.md](protocol/errors.md)), so the other digits are ours, and stable.

| status | errorCode | name | default message | when | what to do | source |
|---|---|---|---|---|---|---|
";

/// Writes the page.
pub fn write() -> Result<Vec<String>, String> {
    fs::write(PAGE, page()).map_err(|why| format!("cannot write {PAGE}: {why}"))?;
    Ok(Vec::new())
}

/// Complaints where the page is not what the table makes, and about rows that nothing tells.
pub fn check() -> Result<Vec<String>, String> {
    let found = fs::read_to_string(PAGE).unwrap_or_default();
    let stale = found != page();
    let stale = stale.then(|| format!("{PAGE}: not what the error table makes; run cargo run -p xtask -- errors"));
    Ok(stale.into_iter().chain(untold()?).collect())
}

/// Rows that no file under a crate's `src` names, the table itself and tests of its own folder aside.
fn untold() -> Result<Vec<String>, String> {
    let mut code = String::new();
    for file in files::of("crates")?.iter().filter(|file| file.components().any(|part| part.as_os_str() == "src")) {
        code += &fs::read_to_string(file).map_err(|why| format!("cannot read {}: {why}", file.display()))?;
    }
    let is_told = |row: &ErrorCode| {
        code.match_indices(&format!("ErrorCode::{}", row.name())).any(|(at, found)| {
            // Not the beginning of a longer name.
            code.get(at + found.len()..).is_none_or(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
        })
    };
    let lonely = ErrorCode::ALL.iter().filter(|row| !is_told(row));
    Ok(lonely.map(|row| format!("{}: a row of the error table that nothing tells; remove it", row.name())).collect())
}

fn page() -> String {
    let rows = ErrorCode::ALL.iter().map(|row| {
        let cells = [row.name(), row.text(), row.when().trim(), row.mend(), row.source()];
        let cells = cells.map(|cell| cell.replace('|', "\\|")).join(" | ");
        format!("| {} | {} | {cells} |\n", row.status(), row.code())
    });
    rows.fold(HEAD.to_owned(), |page, row| page + &row)
}
