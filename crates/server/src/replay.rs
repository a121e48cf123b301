//! `antiphon replay`: plays a file of comments through the HTTP API, as many clients would and as badly as they can,
//! and proves that what Stories shows is what Comments lists, and that both are what was sent.
//!
//! It knows the API and nothing else of a server: no store, no queue, no service. What it proves holds for any
//! server behind any URL. It has no randomness of its own: a seed and the file decide every key and every fault.
//!
//! | module | holds |
//! |---|---|
//! | [`args`], [`error`] | the command line; why a replay ends early |
//! | [`input`], [`mend`], [`plan`], [`schedule`] | lines, texts, what is to be made, and what may go next |
//! | [`keys`], [`hostile`] | what the seed decides: names of requests, and a client's faults |
//! | [`call`], [`session`], [`client`], [`answers`] | a request, who sends it, insisting on it, what comes back |
//! | [`player`], [`people`], [`post`], [`ledger`] | doing it all, and what was acknowledged |
//! | [`server`], [`attend`] | a server of its own, watched and killed |
//! | [`quiet`], [`healed`], [`check`], [`verdict`] | waiting for queues or for anti-entropy, reading back, comparing |
//! | [`table`], [`report`], [`numbers`], [`progress`] | telling it |

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

// Its own modules call them by `super::`.
use crate::{numbers, progress};

mod answers;
mod args;
mod attend;
mod call;
mod check;
mod client;
mod error;
mod healed;
mod hostile;
mod input;
mod keys;
mod ledger;
mod mend;
mod people;
mod plan;
mod player;
mod post;
mod quiet;
mod report;
mod schedule;
mod server;
mod session;
mod table;
#[cfg(test)]
mod tests;
mod verdict;

pub(crate) use args::ReplayArgs;

use attend::{Killer, killing, watched};
use client::Client;
use error::{ReplayError, While};
use hostile::Hostile;
use keys::Keys;
use ledger::Ledger;
use numbers::several;
use plan::Survey;
use player::Player;
use post::Posting;
use progress::{Progress, say};
use quiet::LeftAside;
use report::{Hardship, Report, Run, Times};
use server::Server;
use verdict::Row;

/// As a shell reports a process that an interrupt ended.
const INTERRUPTED: u8 = 130;

/// Replays a file and prints the report: 0 if all is exact, 1 if not, 2 if the command line or the file is wrong.
pub(crate) async fn run(args: ReplayArgs) -> ExitCode {
    let mut out = std::io::stdout();
    let outcome = tokio::select! {
        outcome = replay(&args, &mut out) => outcome,
        // Dropping the replay kills its server and removes its folder.
        _ = tokio::signal::ctrl_c() => return ExitCode::from(INTERRUPTED),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("antiphon replay: {}", error.chain());
            ExitCode::from(error.exit_code())
        }
    }
}

async fn replay(args: &ReplayArgs, out: &mut impl Write) -> Result<u8, ReplayError> {
    let json = args.json.as_deref().map(create).transpose()?;
    let survey = plan::survey(&args.file, args.skip_bad)?;
    say(&format!(
        "{}: {}, {}, {}",
        args.file.display(),
        several(survey.comments, "comment"),
        several(survey.people.len(), "author"),
        several(survey.parts.len(), "part"),
    ));
    let repeated = args.url.is_some() || args.data.as_deref().is_some_and(holds_something);
    let (mut server, base) = if let Some(base) = &args.url {
        (None, base.clone())
    } else {
        let server =
            Server::start(args.data.as_deref(), args.queue.as_ref(), (args.hostile, args.lossy)).await?;
        let base = server.base().clone();
        (Some(server), base)
    };
    let client = Client::new(base, args.connections, args.seed());
    client.reach().await.doing(|| "looking for the server".to_owned())?;
    let report = play(args, survey, &client, server.as_mut(), repeated).await?;

    // Who closed our output does not want to read it; the exit status still tells.
    writeln!(out, "{}", report.text(args.all)).ok();
    let queue = server.as_ref().and_then(|server| server.queue()?.url().ok()).map(ToString::to_string);
    if let Some(server) = server {
        server.stop().await?;
    }
    if let Some(data) = &args.data {
        let queue = queue.map(|url| format!(" --queue '{url}'")).unwrap_or_default();
        say(&format!("the data is kept: antiphon serve --data {}{queue}", data.display()));
    }
    if let (Some(path), Some(file)) = (&args.json, json) {
        write_json(path, file, &report)?;
    }
    Ok(report.exit_code())
}

/// Everything between a server that is ready and the report.
async fn play(
    args: &ReplayArgs,
    survey: Survey,
    client: &Client,
    mut server: Option<&mut Server>,
    repeated: bool,
) -> Result<Report, ReplayError> {
    let (file, connections) = (args.file_name(), usize::from(args.connections));
    let keys = Keys::new(args.seed(), &file, survey.digest);
    let hostile = args.hostile.map(Hostile::new);
    let player = Player::new(client);
    let mut times = Times::default();

    let started = Instant::now();
    let making = async {
        let people = people::sign_up(&player, &keys, &survey.people, hostile, connections).await?;
        times.signing_up = started.elapsed();
        Ok((people, people::tell(&player, &keys, &file, &survey.parts).await?))
    };
    let (people, parts) = watched(server.as_deref_mut(), making).await?;

    let mut ledger = Ledger::new(parts.len());
    let posting = Posting {
        player: &player,
        keys: &keys,
        people: &people,
        parts: &parts,
        hostile,
        connections,
        repeated,
    };
    let input = plan::stream(args.file.clone(), args.skip_bad, survey.digest);
    let mut killer = Killer::new(args.seed());
    let work = async {
        let progress = Progress::start("comments", survey.comments);
        posting.run(input, &mut ledger, &progress).await?;
        Ok(progress.elapsed())
    };
    times.posting = match server.as_deref_mut() {
        Some(server) if args.kill => killing(server, &mut killer, work).await?,
        server => watched(server, work).await?,
    };
    if ledger.posted() != survey.comments {
        player.breach(format!("{} of {} comments were sent", ledger.posted(), survey.comments));
    }

    let started = Instant::now();
    let patience = Duration::from_secs(args.patience);
    let reading = async {
        let left_aside = if args.loses() {
            healed::wait(client, patience, &parts, ledger.parts()).await?
        } else {
            quiet::wait(client, patience, quiet::Broker::told(args.queue.is_some())).await?
        };
        times.settling = started.elapsed();
        let told = check::read_back(client, &parts, survey.comments).await?;
        Ok((left_aside, told, check::plain_counts(client).await?))
    };
    let (left_aside, told, plain): (LeftAside, _, _) = watched(server, reading).await?;

    let rows = parts.iter().zip(&survey.parts).zip(ledger.parts()).zip(&told);
    let rows = rows.map(|(((part, title), done), told)| {
        let plain = plain.as_ref().map(|plain| plain.get(part).copied().unwrap_or_default());
        Row::compare(*part, &mend::title(title), done, told, plain)
    });
    let rows = rows.collect();
    let hardship = Hardship {
        hostile: args.hostile,
        loses: args.loses(),
        lossy: args.lossy,
        played: player.played(),
        breaches: player.breaches(),
        kills: killer.kills(),
        retries: client.retries().by_reason().into(),
    };
    let run = Run { file, seed: args.seed(), connections: args.connections };
    Ok(Report::new(run, survey, times, hardship, left_aside, rows))
}

fn holds_something(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// Before anything is sent, so that a long replay does not end without its report.
fn create(path: &Path) -> Result<File, ReplayError> {
    File::create(path).map_err(|source| ReplayError::Json { path: path.to_owned(), source })
}

fn write_json(path: &Path, mut file: File, report: &Report) -> Result<(), ReplayError> {
    let fail = |source| ReplayError::Json { path: path.to_owned(), source };
    let mut text = serde_json::to_vec_pretty(report).map_err(|error| fail(error.into()))?;
    text.push(b'\n');
    file.write_all(&text).map_err(fail)
}
