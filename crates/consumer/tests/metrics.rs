//! What the pump tells of itself.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test, its helpers included, fails by panicking"
)]

mod common;

use std::time::Duration;

use antiphon_consumer::{Pump, handler_fn};
use common::{LEASE, Trouble, world};
use queue::Message;
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn the_pump_measures_receives_flights_rates_and_extensions() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = world().await;
    world.publish(0..30).await;
    let troubles = [Trouble::Unavailable, Trouble::LeaseLost];
    world.spy.extend_trouble.lock().unwrap().extend(troubles);
    let handler = handler_fn(|_: Message, _| async {
        sleep(LEASE * 2).await;
        Ok(())
    });
    let value = |name: &str, more: &str| -> f64 {
        let start = format!("{name}{{topic=\"topic\",service=\"service\"{more}}} ");
        let text = shown.render();
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {start} in\n{text}")).parse().unwrap()
    };
    let pump = Pump::builder(world.receiver(), handler).lease(LEASE).permits(30).build();
    let run = pump.run(sleep(LEASE * 5));
    tokio::pin!(run);
    tokio::select! {
        _ = &mut run => unreachable!("it runs"),
        () = sleep(LEASE / 4) => {}
    }
    let near = |value: f64, expected: f64| (value - expected).abs() < 0.001;
    assert!(near(value("antiphon_consumer_in_flight", ""), 30.0));
    let summary = run.await;
    assert_eq!((summary.acked, summary.lost), (30, 30), "{summary:?}");
    assert!(near(value("antiphon_consumer_received_total", ""), 60.0));
    assert!(near(value("antiphon_consumer_in_flight", ""), 0.0));
    let extended =
        |outcome: &str| value("antiphon_consumer_lease_extensions_total", &format!(",outcome=\"{outcome}\""));
    assert!(near(extended("error"), 30.0) && near(extended("lost"), 30.0) && extended("ok") >= 60.0);
    assert!(near(value("antiphon_consumer_rate", ""), 0.0), "a pump that is gone settles nothing");
    assert_eq!(Duration::from_mins(1), antiphon_consumer::RATE_WINDOW);
}
