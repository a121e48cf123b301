//! The clients of the SDK, with an end to everything.

use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::options::{Options, Place};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one attempt of a call may take. A receive has its wait on top.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a call may take with all its attempts. A receive has its wait on top.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How often the SDK makes a call that failed for what passes by, the first time included.
const ATTEMPTS_MAX: u32 = 3;
/// First and longest pause between them.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The clients of one URL.
pub(super) struct Clients {
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) sns: aws_sdk_sns::Client,
}

/// Timeouts for a call in which the broker may wait for `wait`.
pub(super) fn timeouts(wait: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT + wait)
        .operation_timeout(CALL_TIMEOUT + wait)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(PAUSE_FIRST)
        .with_max_backoff(PAUSE_MAX)
}

fn http_client(tls: bool) -> SharedHttpClient {
    if tls {
        Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
    } else {
        Builder::new().build_http()
    }
}

impl Clients {
    /// Makes no request, except where Amazon's credentials come from a service of the machine.
    pub(super) async fn of(options: &Options) -> Self {
        let region = Region::new(options.region.clone());
        let mut config = match &options.place {
            Place::Amazon => {
                // The one place where a vendor reads the environment, the profile, or what the machine is given.
                let loader = aws_config::defaults(BehaviorVersion::latest()).region(region);
                loader.http_client(http_client(true)).load().await.into_builder()
            }
            Place::Endpoint { url, tls, key, secret } => {
                let credentials = Credentials::new(key, secret, None, None, "url");
                aws_config::SdkConfig::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(region)
                    .endpoint_url(url)
                    .http_client(http_client(*tls))
                    .credentials_provider(SharedCredentialsProvider::new(credentials))
            }
        };
        config.set_retry_config(Some(retries()));
        config.set_timeout_config(Some(timeouts(Duration::ZERO)));
        let config = config.build();
        Self { sqs: aws_sdk_sqs::Client::new(&config), sns: aws_sdk_sns::Client::new(&config) }
    }
}
