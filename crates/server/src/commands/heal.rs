//! `antiphon recount` and `antiphon adopt`: what an operator does after a restore, or for a replica that is lost.

use super::Common;
use super::error::CommandError;
use super::out;
use crate::numbers::grouped;
use crate::progress::Progress;
use clap::{Args, ValueEnum};
use lattice::ReplicaId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use store::{
    AdoptRefused, Adopted, Comparison, Counts, FjallConfig, Healer, OpenError, RealWorld, Recount, Setup,
    Step, Store, StoreError, WriteError,
};

/// The services that have a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Stored {
    /// Accounts, profiles, shelves.
    Users,
    /// Stories, parts, votes.
    Stories,
    /// Comments.
    Comments,
}

impl Stored {
    const ALL: [Self; 3] = [Self::Users, Self::Stories, Self::Comments];

    fn name(self) -> &'static str {
        match self {
            Self::Users => users::NAME,
            Self::Stories => stories::NAME,
            Self::Comments => comments::NAME,
        }
    }

    fn healer(self, store: &Store) -> Healer {
        match self {
            Self::Users => users::healer(store),
            Self::Stories => stories::healer(store),
            Self::Comments => comments::healer(store),
        }
    }
}

/// Count again after restoring a backup
///
/// A data folder that was restored is older than what its services have announced since. Run this before the server is
/// started on it: every service in it takes a new name, and counts again what it counted, so that what others remember of
/// the lost days is replaced and not added to. Without it the counts of those days stay too high until the service meets
/// what it announced, which may take a while, and the ids of new things may repeat old ones.
#[derive(Debug, Args)]
#[command(after_long_help = RECOUNT_HELP)]
pub(crate) struct RecountArgs {
    /// Only this service [default: all that have a store in the data folder]
    #[arg(value_enum)]
    service: Option<Stored>,
    /// The data folder of `antiphon serve`, which must be stopped
    #[arg(long, env = "ANTIPHON_DATA", value_name = "DIR", default_value = "./antiphon-data")]
    data: PathBuf,
    /// Compare every count with the rows behind it, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

const RECOUNT_HELP: &str = "\
What was written after the backup and reached no other site is lost: this does not bring it back, it makes the counts say
so. What a sibling site has comes back by itself once the server runs. Nothing else is changed, and running it twice, or
after being interrupted, does no harm.

replica  in whose name the elements were accepted
groups   parts, paragraphs, comments with replies; or parts with votes
before   the sum of the counts of all groups, as they were
after    the same, counted from the rows

Counts that another replica keeps are that one's: they are looked at there, and where it is gone, after its heir has adopted
it (`antiphon status` shows who writes what).

Exit status:
  0  all is counted; with --dry-run: every count that this replica keeps agrees with its rows
  1  a store could not be used; with --dry-run: some count differs
  2  the command line is wrong

Examples:
  antiphon recount --data /var/lib/antiphon
  antiphon recount comments --dry-run";

/// Take over the counts of a replica that is lost for good
///
/// A replica of a service that will never come back leaves its counts frozen: what it accepted is not counted down by
/// anybody when it is deleted. Its heir, any other replica of the same service, counts its elements again, from the rows
/// that it has, and goes on counting them.
#[derive(Debug, Args)]
#[command(after_long_help = ADOPT_HELP)]
pub(crate) struct AdoptArgs {
    /// The id of the lost replica: 32 hexadecimal digits, as `antiphon status` shows them
    #[arg(value_name = "REPLICA")]
    replica: ReplicaId,
    /// Which service it was a replica of
    #[arg(value_enum, default_value = "comments")]
    service: Stored,
    /// The data folder of the heir, whose server must be stopped
    #[arg(long, env = "ANTIPHON_DATA", value_name = "DIR", default_value = "./antiphon-data")]
    data: PathBuf,
    #[command(flatten)]
    pub(super) common: Common,
}

const ADOPT_HELP: &str = "\
What the lost replica had accepted and sent to no sibling is lost. Whatever reaches the heir later is counted then.
Should the lost one come back after all, it finds that it was replaced, takes a new name, and goes on: nothing is counted
twice. Of two heirs one remains. Adopting a replica that is alive does the same to it, so be sure.

Exit status:
  0  the heir counts it
  1  the store could not be used, or does not adopt it
  2  the command line is wrong

Examples:
  antiphon adopt 0c3f6a4de1b24fd8a1b0c9d8e7f60514 --data /var/lib/antiphon
  antiphon adopt 0c3f6a4de1b24fd8a1b0c9d8e7f60514 stories";

/// One line of the table.
#[derive(Debug, Serialize)]
struct Line {
    service: &'static str,
    replica: String,
    groups: u64,
    before: u64,
    after: u64,
    differing: u64,
}

/// What a command did to a store.
#[derive(Debug, Serialize)]
struct Report {
    service: &'static str,
    /// The name that it has now.
    replica: String,
    /// The name that it had, where that was another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    renewed_from: Option<String>,
    lines: Vec<Line>,
}

/// Recounts.
pub(crate) async fn recount(args: &RecountArgs) -> Result<ExitCode, CommandError> {
    let mut reports = Vec::new();
    for service in services(&args.data, args.service)? {
        let store = open(&args.data, service)?;
        let report = if args.dry_run {
            let found = compare(&store, service).await;
            found.map(|found| Report {
                service: service.name(),
                replica: store.identity().replica.to_string(),
                renewed_from: None,
                lines: lines(service, &found, None),
            })
        } else {
            counted_again(&store, service, store::renew_restored(&store)).await
        };
        store.close().await;
        reports.push(report.map_err(|source| failed(&args.data, service, source))?);
    }
    show(&args.common, &reports)?;
    let differing = reports.iter().flat_map(|report| &report.lines).any(|line| line.differing > 0);
    Ok(if args.dry_run && differing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Adopts.
pub(crate) async fn adopt(args: &AdoptArgs) -> Result<ExitCode, CommandError> {
    let service = services(&args.data, Some(args.service))?.into_iter().next().unwrap_or(args.service);
    let store = open(&args.data, service)?;
    let mut refused = None;
    let adopting = async {
        match store::adopt(&store, args.replica).await {
            Ok(adopted) => Ok(adopted),
            // It may have been interrupted: then it goes on.
            Err(WriteError::Refused(AdoptRefused::Ours(_)))
                if Recount::under_way(&store).await?.is_some() =>
            {
                Ok(Adopted::default())
            }
            Err(WriteError::Refused(refusal)) => {
                refused = Some(refusal);
                Ok(Adopted::default())
            }
            Err(WriteError::Store(error)) => Err(error),
        }
    };
    let report = counted_again(&store, service, adopting).await;
    store.close().await;
    let report = report.map_err(|source| failed(&args.data, service, source))?;
    if let Some(source) = refused {
        return Err(CommandError::NotAdopted { replica: args.replica, source });
    }
    let lost = args.replica.to_string();
    // An heir that was begun empty has heard of nothing yet. So has one to whom a wrong id was given.
    if !report.lines.iter().any(|line| line.replica == lost) {
        eprintln!(
            "antiphon adopt: nothing that {lost} wrote is here yet: it is counted as it arrives. If that is not the id of \
             the lost replica, adopt the right one too; this one does no harm."
        );
    }
    show(&args.common, &[report])?;
    Ok(ExitCode::SUCCESS)
}

fn failed(data: &Path, service: Stored, source: StoreError) -> CommandError {
    CommandError::Rows { path: data.join(service.name()), source }
}

/// The services that have a store in a data folder, or the one that is asked for.
fn services(data: &Path, only: Option<Stored>) -> Result<Vec<Stored>, CommandError> {
    let mut found: Vec<_> = only.map_or_else(|| Stored::ALL.to_vec(), |only| vec![only]);
    found.retain(|service| data.join(service.name()).join("STORE").exists());
    if found.is_empty() {
        let what = only.map_or("any service", Stored::name);
        return Err(CommandError::NoStore { path: data.to_owned(), what });
    }
    Ok(found)
}

fn open(data: &Path, service: Stored) -> Result<Store, CommandError> {
    let setup = Setup::of(service.name());
    let path = data.join(service.name());
    let opened = Store::open_fjall(&path, FjallConfig::default(), Arc::new(RealWorld), &setup);
    opened.map_err(|error| match error {
        OpenError::Locked { path } => CommandError::Served { path },
        error => CommandError::Store(error),
    })
}

/// What every tally of a store says, and its rows.
async fn compare(store: &Store, service: Stored) -> Result<BTreeMap<ReplicaId, Counts>, StoreError> {
    let (healer, mut comparison) = (service.healer(store), Comparison::default());
    let mut progress = Late::new("compared");
    loop {
        let more = healer.compare(&mut comparison).await?;
        progress.set(comparison.looked, comparison.looked);
        if !more {
            return Ok(comparison.owners);
        }
    }
}

/// Begins a recount, and takes all steps of it.
async fn counted_again(
    store: &Store,
    service: Stored,
    begin: impl Future<Output = Result<Adopted, StoreError>>,
) -> Result<Report, StoreError> {
    let old = store.identity().replica;
    let before = compare(store, service).await?;
    let adopted = begin.await?;
    let healer = service.healer(store);
    let mut progress = Late::new("counted");
    loop {
        match healer.step().await? {
            Step::Idle => break,
            Step::Healed(_) => {}
            Step::Counted(recount) | Step::Complete(recount) => {
                progress.set(recount.looked, expected(&recount));
            }
        }
    }
    drop(progress);
    let after = compare(store, service).await?;
    let identity = store.identity();
    Ok(Report {
        service: service.name(),
        replica: identity.replica.to_string(),
        renewed_from: adopted.renewed.map(|_| old.to_string()),
        lines: lines(service, &before, Some(&after)),
    })
}

/// A progress that begins once there is something to wait for.
struct Late {
    what: &'static str,
    progress: Option<Progress>,
}

impl Late {
    /// Fewer rows than this are looked at before anybody wonders.
    const ROWS_MIN: u64 = 10_000;

    fn new(what: &'static str) -> Self {
        Self { what, progress: None }
    }

    fn set(&mut self, done: u64, total: u64) {
        if done >= Self::ROWS_MIN {
            self.progress.get_or_insert_with(|| Progress::start(self.what, 0)).set(done, total);
        }
    }
}

/// About how many rows there are, from how far the recount is in them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an estimate for a bar"
)]
fn expected(recount: &Recount) -> u64 {
    let done = recount.done();
    let estimate = if done > 0.0 { (recount.looked as f64 / done) as u64 } else { recount.looked };
    estimate.max(recount.looked)
}

fn lines(
    service: Stored,
    before: &BTreeMap<ReplicaId, Counts>,
    after: Option<&BTreeMap<ReplicaId, Counts>>,
) -> Vec<Line> {
    let of = |counts: Option<&BTreeMap<ReplicaId, Counts>>, replica: ReplicaId| {
        counts.and_then(|counts| counts.get(&replica)).copied().unwrap_or_default()
    };
    let all: BTreeSet<_> = before.keys().chain(after.into_iter().flat_map(BTreeMap::keys)).copied().collect();
    let line = |replica: ReplicaId| {
        let (was, is) = (of(Some(before), replica), of(after, replica));
        Line {
            service: service.name(),
            replica: replica.to_string(),
            groups: was.groups.max(is.groups),
            before: was.told,
            after: if after.is_some() { is.told } else { was.counted },
            differing: if after.is_some() { is.differing } else { was.differing },
        }
    };
    all.into_iter().map(line).collect()
}

fn show(common: &Common, reports: &[Report]) -> Result<(), CommandError> {
    if common.json {
        return out::print_json(&reports);
    }
    for report in reports {
        let name = match &report.renewed_from {
            Some(old) => format!("{}: {} goes on as {}", report.service, old, report.replica),
            None => format!("{}: {}", report.service, report.replica),
        };
        out::print(&name)?;
        if report.lines.is_empty() {
            out::print("  it counts nothing")?;
            continue;
        }
        let rows: Vec<_> = report
            .lines
            .iter()
            .map(|line| {
                let numbers = [line.groups, line.before, line.after].map(grouped);
                let [groups, before, after] = numbers;
                [format!("  {}", line.replica), groups, before, after, grouped(line.differing)]
            })
            .collect();
        out::print(&out::columns(["  replica", "groups", "before", "after", "wrong groups"], &rows))?;
    }
    Ok(())
}
