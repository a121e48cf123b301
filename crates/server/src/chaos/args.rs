//! What `antiphon chaos` is told.

use crate::cli::{Cli, Command, ServeArgs};
use clap::{Args, Parser};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Most people that write.
pub(super) const PEOPLE_MAX: u16 = 200;
/// Most deeds that they do in a second.
pub(super) const RATE_MAX: f64 = 100.0;

/// How often a service tells what it has, in seconds: more often than elsewhere, since somebody is watching.
const DIGESTS_EVERY_S: u32 = 2;

/// How to play.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChaosArgs {
    /// Where everything is kept; without it a folder that is removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen. Whoever reaches it can break things: keep it on this machine. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7979")]
    pub(super) listen: SocketAddr,
    /// How many people write, 1 to 200.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=i64::from(PEOPLE_MAX)))]
    pub(super) people: u16,
    /// What they do together in a second, 0 to 100: posts, replies, deletions.
    #[arg(long, value_name = "R", default_value_t = 12.0, value_parser = rate)]
    pub(super) rate: f64,
    /// Decides what people do, and the dice of the faults.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(super) seed: u64,
    /// What to log, as `level` or `target=level,…`.
    #[arg(long, value_name = "FILTER", default_value = "error")]
    pub(super) log: String,
    /// Refuse writes while fewer bytes than this are free on the disk.
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20)]
    disk_free_min: u64,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=RATE_MAX).contains(&rate) => Ok(rate),
        _ => Err(format!("a rate is a number from 0 to {RATE_MAX}")),
    }
}

impl ChaosArgs {
    /// The folder that is to be kept.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// The platform as `serve` would run it on `data`, alone with its queue.
    pub(super) fn platform(&self, data: &Path) -> Result<ServeArgs, clap::Error> {
        let mut words: Vec<OsString> =
            ["antiphon", "serve", "--empty", "--site", "main"].map(Into::into).into();
        words.extend(["--data".into(), data.into(), "--listen".into(), self.listen.to_string().into()]);
        words.extend(["--anti-entropy".into(), DIGESTS_EVERY_S.to_string().into()]);
        words.extend(["--disk-free-min".into(), self.disk_free_min.to_string().into()]);
        let cli = Cli::try_parse_from(words)?;
        let served = match cli.command {
            Some(Command::Serve(served)) => *served,
            _ => cli.serve,
        };
        // Meant for `serve`, where the environment names them.
        Ok(ServeArgs { service: None, queue: None, deployment: None, root_public_key: None, ..served })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<ChaosArgs, String> {
        let words = ["antiphon", "chaos"].iter().chain(words);
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Some(Command::Chaos(args)) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_told() {
        assert!(parse(&["--people", "0"]).unwrap_err().contains("--people"));
        assert!(parse(&["--people", "201"]).unwrap_err().contains("200"));
        for rate in ["-1", "101", "NaN", "fast"] {
            let told = parse(&[&format!("--rate={rate}")]).unwrap_err();
            assert!(told.contains("from 0 to 100"), "{rate}: {told}");
        }
    }

    #[test]
    fn by_default_nobody_else_reaches_it() {
        assert!(parse(&[]).unwrap().listen.ip().is_loopback());
    }

    #[test]
    fn the_platform_is_the_one_of_serve() {
        let args = parse(&["--disk-free-min", "5"]).unwrap();
        let served = args.platform(Path::new("folder")).unwrap();
        assert!(served.empty && served.queue.is_none() && served.service.is_none());
        assert_eq!((served.data.as_path(), served.disk_free_min), (Path::new("folder"), 5));
        assert_eq!(served.anti_entropy_s(), DIGESTS_EVERY_S);
    }
}
