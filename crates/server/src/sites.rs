//! The sites of a deployment, as the command line names them.

use clap::Args;
use queue::Topic;
use std::collections::BTreeSet;
use thiserror::Error;

/// The most sites of a deployment: every one hears everything that the others say.
pub(crate) const SITES_MAX: usize = 64;

/// Which sites there are, and which one this is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Sites {
    /// The name of this site: every site hears everything once.
    #[arg(long, env = "ANTIPHON_SITE", value_name = "NAME", default_value = "main", value_parser = name)]
    pub(crate) site: String,
    /// The names of all sites of the deployment, this one too, where there are several: then each service also tells its
    /// rows to its siblings at the others, and they converge. All sites share one broker, and name the same sites.
    #[arg(long, env = "ANTIPHON_SITES", value_name = "NAME,NAME,…", value_delimiter = ',', value_parser = name)]
    pub(crate) sites: Vec<String>,
}

/// A list of sites that cannot be meant.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum SitesError {
    #[error(
        "--site {site} is not among --sites {sites}: name all sites of the deployment in --sites, this one too"
    )]
    NotAmong { site: String, sites: String },
    #[error("--sites names {name} twice: every site has a name of its own")]
    Twice { name: String },
    #[error("--sites names {count} sites, and at most {SITES_MAX} are allowed")]
    TooMany { count: usize },
}

/// A site's name is part of its subscriptions' names.
fn name(text: &str) -> Result<String, String> {
    text.parse::<Topic>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl Sites {
    /// Refuses what cannot be meant.
    pub(crate) fn check(&self) -> Result<(), SitesError> {
        if self.sites.len() > SITES_MAX {
            return Err(SitesError::TooMany { count: self.sites.len() });
        }
        let mut names = BTreeSet::new();
        if let Some(name) = self.sites.iter().find(|name| !names.insert(*name)) {
            return Err(SitesError::Twice { name: name.clone() });
        }
        if !self.sites.is_empty() && !names.contains(&self.site) {
            return Err(SitesError::NotAmong { site: self.site.clone(), sites: self.sites.join(",") });
        }
        Ok(())
    }

    /// Whether there are replicas of the same services elsewhere.
    pub(crate) fn has_siblings(&self) -> bool {
        self.sites.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(site: &str, sites: &[&str]) -> Sites {
        Sites { site: site.to_owned(), sites: sites.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn a_site_is_alone_or_among_the_others() {
        assert_eq!(sites("main", &[]).check(), Ok(()));
        assert_eq!(sites("a", &["a"]).check(), Ok(()));
        assert_eq!(sites("b", &["a", "b"]).check(), Ok(()));
        assert!(!sites("main", &[]).has_siblings() && !sites("a", &["a"]).has_siblings());
        assert!(sites("b", &["a", "b"]).has_siblings());
        let error = sites("main", &["a", "b"]).check().unwrap_err().to_string();
        assert!(error.contains("--site main is not among --sites a,b"), "{error}");
        assert_eq!(sites("a", &["a", "a"]).check(), Err(SitesError::Twice { name: "a".to_owned() }));
        let many: Vec<_> = (0..=SITES_MAX).map(|n| format!("s{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(sites("s1", &many).check(), Err(SitesError::TooMany { count: SITES_MAX + 1 }));
        assert!(name("not a name").is_err());
    }
}
