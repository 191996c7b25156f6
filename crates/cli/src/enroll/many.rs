//! `import` and `export`.

use std::sync::Arc;

use serde_json::json;

use super::{arguments, refused};
use crate::{
    bulk::{self, grouped, per_second, span},
    ended::{Ended, PARTLY},
    service_api::{Kind, Patience, ServiceApi},
};

/// A client that is patient with a service which has answered once: one that is not there is told at once.
async fn patient(kind: Kind, reach: &super::ServiceReach) -> Result<Arc<ServiceApi>, Ended> {
    let api = super::open(reach).await?;
    api.page(&kind.query_path(), None, 1, None).await?.accepted().map_err(refused)?;
    Ok(Arc::new(api.with(Patience::OF_MANY)))
}

/// `import`
pub async fn import(kind: Kind, arguments: &arguments::Import) -> Result<(), Ended> {
    let api = if arguments.check { None } else { Some(patient(kind, &arguments.reach).await?) };
    let import = bulk::Import {
        path: arguments.file.clone(),
        format: arguments.format,
        update: arguments.update,
        restart: arguments.restart,
        in_flight: arguments.in_flight,
        errors: arguments.errors.clone(),
        quiet: arguments.quiet,
    };
    let report = bulk::import(api, kind, &import).await?;
    let tally = report.tally;
    let errors = report.errors.as_ref().map(|path| path.display().to_string());
    if arguments.reach.json() {
        let counts = json!({ "lines": tally.all(), "created": tally.created, "unchanged": tally.unchanged, "updated": tally.updated, "failed": tally.failed });
        let told = json!({ "counts": counts, "resumedAfter": report.resumed, "errors": errors, "seconds": report.elapsed.as_secs_f64() });
        say!("{told:#}");
    } else if arguments.check {
        say!("{} lines can be read, {} cannot.", grouped(tally.all() - tally.failed), grouped(tally.failed));
    } else {
        let resumed = if report.resumed > 0 {
            format!("went on after {} lines that were done; in all ", grouped(report.resumed))
        } else {
            String::new()
        };
        let rate = per_second(tally.all() - report.resumed, report.elapsed);
        say!("{resumed}{} lines: {}; {}, {} a second", grouped(tally.all()), tally.text(), span(report.elapsed), grouped(rate));
    }
    match errors {
        None => Ok(()),
        Some(path) => {
            let next = "Mend those lines and import the file again: what is there already is compared, nothing is made twice.";
            Err(Ended {
                code: PARTLY,
                why: format!("import: {} lines were not taken; {path} tells which and why\n  {next}", grouped(tally.failed)),
            })
        }
    }
}

/// `export`
pub async fn export(kind: Kind, arguments: &arguments::Export) -> Result<(), Ended> {
    let api = patient(kind, &arguments.reach).await?;
    let export = bulk::Export {
        path: arguments.file.clone(),
        format: arguments.format,
        query: arguments.query.clone(),
        keys: arguments.keys,
        resume: arguments.resume,
        in_flight: arguments.in_flight,
        quiet: arguments.quiet,
    };
    let done = bulk::export(&api, kind, &export).await?;
    let to_stdout = arguments.file.as_os_str() == "-";
    if arguments.reach.json() && !to_stdout {
        say!("{:#}", json!({ "exported": done.items, "file": arguments.file, "seconds": done.elapsed.as_secs_f64() }));
    } else {
        eprintln!("{} exported; {}", grouped(done.items), span(done.elapsed));
    }
    if !arguments.keys && !arguments.quiet {
        eprintln!("Symmetric keys are not in it (--keys); certificates are never told by the service, only their thumbprints.");
    }
    Ok(())
}
