//! The example program of sqsconsumer, for any queue: `respond URL TOPIC/SERVICE/SITE`.
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use antiphon_consumer::{Context, DefaultStack, HandlerError, Layer, Pump, handler_fn};
use queue::{Clock, Message, Settings, SubscriptionConfig};

/// Fails now and then, as the world does: what failed comes again.
async fn process(message: Message, context: Context) -> Result<(), HandlerError> {
    if RandomState::new().hash_one(&message.body) % 10 < 3 {
        Err(std::io::Error::other("a random error"))?;
    }
    tracing::info!(body = ?message.body, receive_count = context.receive_count, "done");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a program has a clock; our libraries are given it")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

async fn interrupted(times: usize) {
    for _ in 0..times {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "interrupts cannot be heard: stopping");
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).init();
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(subscription)) = (args.next(), args.next()) else {
        return Err("usage: respond URL TOPIC/SERVICE/SITE".into());
    };
    let (clock, seed) = (Clock::new(now_ms), RandomState::new().hash_one(0));

    let queue = queue::connect(&url.parse()?, &Settings { clock: clock.clone(), seed }).await?;
    let receiver = queue.subscribe(&subscription.parse()?, SubscriptionConfig::default()).await?;
    let handler = DefaultStack::new(seed).layer(handler_fn(process));
    let pump =
        Pump::builder(receiver, handler).clock(clock).seed(seed).drain(Duration::from_secs(30)).build();

    // The first interrupt lets handlers finish within the drain, the second one does not.
    let summary = pump.run_until(interrupted(1), interrupted(2)).await;
    println!("{}\n{summary:?}", metrics.render());
    Ok(())
}
