//! The watch: reads every count and every list as a reader would, once a second, and keeps what it saw.

use super::meter::{Means, by_label};
use super::people::client::{Ask, AskError, Client};
use super::people::{Part, People};
use super::platform::Platform;
use super::slot::{Condition, Slot};
use crate::node::Service;
use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusHandle;
use queue::{Depth, Subscription};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// What it remembers: so many looks.
pub(super) const HISTORY_MAX: usize = 900;
/// Pages of a list that are read; a longer list is not known.
const PAGES_MAX: usize = 100;
/// Comments on a page.
const PAGE: usize = 100;

/// What is read of one part.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct PartReading {
    id: String,
    title: &'static str,
    /// How many comments the list has, counted one by one; as it was last where Comments is away.
    listed: Option<u64>,
    /// What Stories shows.
    shown: Option<i64>,
    /// What the "+1" counter came to.
    plain: i64,
}

impl PartReading {
    fn off(&self, count: Option<i64>) -> Option<u64> {
        let listed = i64::try_from(self.listed?).ok()?;
        Some(count?.abs_diff(listed))
    }
}

/// One look, for the chart.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Sample {
    /// Its number, from 1.
    number: u64,
    /// Milliseconds since the start.
    at_ms: u64,
    /// By how much shown counts and lists differ, over all parts; unknown while a service is away.
    exact_off: Option<u64>,
    /// The same for the "+1" counter.
    plain_off: Option<u64>,
    /// Messages in the queue.
    on_way: Option<u64>,
    /// Whether any fault was turned on, or a service away.
    trouble: bool,
}

/// A subscription, as the page shows it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LinkReading {
    topic: String,
    service: String,
    /// Messages that are ready, handed out or put off.
    waiting: u64,
    dead: u64,
    /// From a row's change to its merge, the mean over what was merged lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_ms: Option<f64>,
    /// Whether all who announce here had the same rows when that was compared last; none where nothing was.
    same: Option<bool>,
    /// Key ranges that are known to differ.
    differing_ranges: usize,
}

/// What anti-entropy did since the start.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct RepairReading {
    /// Messages that told what a publisher has.
    digests: f64,
    /// Messages that told what a subscriber lacks.
    wants: f64,
    /// Rows that were announced again.
    rows: f64,
    /// Bytes of digests and wants.
    bytes: f64,
}

/// Before a topic's name: where its wants travel.
const WANTS: &str = "wants.";

impl RepairReading {
    /// From the metrics of this process.
    fn read(metrics: &str) -> Self {
        let sum = |name, wants: bool| -> f64 {
            let by_topic = by_label(metrics, name, "topic");
            let sums =
                by_topic.iter().filter(|(topic, _)| topic.starts_with(WANTS) == wants).map(|(_, sum)| sum);
            0.0 + sums.sum::<f64>() // of nothing it is a negative zero
        };
        let (messages, bytes) = ("antiphon_anti_entropy_messages_total", "antiphon_anti_entropy_bytes_total");
        Self {
            digests: sum(messages, false),
            wants: sum(messages, true),
            rows: 0.0 + by_label(metrics, "antiphon_anti_entropy_rows_total", "topic").values().sum::<f64>(),
            bytes: sum(bytes, false) + sum(bytes, true),
        }
    }
}

/// A service, as the page shows it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ServiceReading {
    name: &'static str,
    condition: Condition,
    /// Rows that are still to be announced; unknown while it is away.
    outbox: Option<usize>,
    in_hand: usize,
}

/// Everything at one look.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Look {
    #[serde(flatten)]
    sample: Sample,
    listed: Option<u64>,
    shown: Option<i64>,
    plain: i64,
    /// People rest, nothing is to be announced, nothing is on its way, every service is there.
    quiet: bool,
    parts: Vec<PartReading>,
    links: Vec<LinkReading>,
    repair: RepairReading,
}

#[derive(Debug, Default)]
struct Seen {
    look: Look,
    history: VecDeque<Sample>,
}

/// What the watch saw. Clones see the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    seen: Arc<Mutex<Seen>>,
}

impl Sight {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last look, and those samples that are younger than number `after`.
    pub(super) fn since(&self, after: u64) -> (Look, Vec<Sample>) {
        let seen = self.seen();
        let samples = seen.history.iter().filter(|sample| sample.number > after).copied().collect();
        (seen.look.clone(), samples)
    }

    fn note(&self, look: Look) {
        let mut seen = self.seen();
        if seen.history.len() >= HISTORY_MAX {
            seen.history.pop_front();
        }
        seen.history.push_back(look.sample);
        seen.look = look;
    }
}

/// Who looks.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) platform: Arc<Platform>,
    pub(super) people: People,
    pub(super) client: Arc<Client>,
    pub(super) metrics: PrometheusHandle,
    pub(super) sight: Sight,
}

impl Watch {
    /// Looks until the future is dropped.
    pub(super) async fn look_on(self) {
        let began = Instant::now();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut number, mut lags, mut lag_ms) = (0, Means::default(), BTreeMap::new());
        let mut known: BTreeMap<String, u64> = BTreeMap::new();
        loop {
            ticks.tick().await;
            number += 1;
            self.metrics.run_upkeep();
            let metrics = self.metrics.render();
            let fresh = lags.of(&metrics, "antiphon_merge_lag_seconds", "topic");
            lag_ms.extend(fresh.into_iter().map(|(topic, seconds)| (topic, seconds * 1000.0)));
            let sample = Sample {
                number,
                at_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                ..Sample::default()
            };
            let mut look = self.look(sample, &mut known, &lag_ms).await;
            look.repair = RepairReading::read(&metrics);
            self.sight.note(look);
        }
    }

    async fn look(
        &self,
        mut sample: Sample,
        known: &mut BTreeMap<String, u64>,
        lag_ms: &BTreeMap<String, f64>,
    ) -> Look {
        // People first, then outboxes: what leaves one of these is seen in what is looked at next.
        let people_rest = self.people.rest();
        let services = services(&self.platform);
        let depths = self.platform.depths().await;
        sample.on_way = depths.as_ref().map(|depths| depths.iter().map(|(_, depth)| waiting(depth)).sum());
        let all_run = services.iter().all(|service| service.condition == Condition::Running);
        sample.trouble = !all_run || !super::dials::FaultDials::of(&self.platform.dials.faults()).is_calm();
        let idle = services.iter().all(|service| service.outbox == Some(0) && service.in_hand == 0);
        let plain = self.platform.plain_counter.counts().await.unwrap_or_default();
        let parts = self.people.parts();
        let mut parts = join_all(parts.iter().map(|part| self.part(part))).await;
        for part in &mut parts {
            match part.listed {
                Some(listed) => {
                    known.insert(part.id.clone(), listed);
                }
                // Nobody can have posted or deleted anything.
                None => part.listed = known.get(&part.id).copied(),
            }
            part.plain = plain.get(&part.id).copied().unwrap_or_default();
        }
        sample.exact_off = parts.iter().map(|part| part.off(part.shown)).sum();
        sample.plain_off = parts.iter().map(|part| part.off(Some(part.plain))).sum();
        Look {
            listed: parts.iter().map(|part| part.listed).sum(),
            shown: parts.iter().map(|part| part.shown).sum(),
            plain: parts.iter().map(|part| part.plain).sum(),
            quiet: people_rest && all_run && idle && sample.on_way == Some(0),
            links: self.links(depths.unwrap_or_default(), lag_ms),
            parts,
            sample,
            repair: RepairReading::default(),
        }
    }

    fn links(&self, depths: Vec<(Subscription, Depth)>, lag_ms: &BTreeMap<String, f64>) -> Vec<LinkReading> {
        let reading = |(subscription, depth): (Subscription, Depth)| {
            let topic = subscription.topic().to_string();
            let service = self.platform.slot(subscription.service()).and_then(Slot::service);
            let (same, differing_ranges) = service.map_or((None, 0), |service| compared(&service, &topic));
            LinkReading {
                lag_ms: lag_ms.get(&topic).copied(),
                service: subscription.service().to_owned(),
                waiting: waiting(&depth),
                dead: depth.dead,
                same,
                differing_ranges,
                topic,
            }
        };
        depths.into_iter().map(reading).collect()
    }

    /// Reads a part and its list, at about the same time.
    async fn part(&self, part: &Part) -> PartReading {
        let mut reading = PartReading { id: part.id.clone(), title: part.title, ..PartReading::default() };
        reading.listed = self.listed(&part.id).await.ok();
        let shown = self.client.ask(&Ask::get(format!("/v1/parts/{}", part.id))).await;
        let pointer = "/counts/comments/count";
        reading.shown = shown.ok().and_then(|shown| shown.pointer(pointer).and_then(Value::as_i64));
        reading
    }

    async fn listed(&self, part: &str) -> Result<u64, AskError> {
        let (mut listed, mut cursor) = (0_usize, String::new());
        for _ in 0..PAGES_MAX {
            let path = format!("/v1/parts/{part}/comments?flat=true&order=oldest&limit={PAGE}{cursor}");
            let page = self.client.ask(&Ask::get(path)).await?;
            listed += page.get("items").and_then(Value::as_array).ok_or(AskError::Lacks("items"))?.len();
            match page.get("next").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={}", escaped(next)),
                None => return Ok(u64::try_from(listed).unwrap_or(u64::MAX)),
            }
        }
        Err(AskError::Lacks("an end"))
    }
}

/// Messages that are not settled.
fn waiting(depth: &Depth) -> u64 {
    depth.ready + depth.in_flight + depth.delayed
}

/// How every service is now.
pub(super) fn services(platform: &Platform) -> Vec<ServiceReading> {
    let reading = |slot: &Slot| ServiceReading {
        name: slot.name().name(),
        condition: slot.condition(),
        outbox: slot.service().map(|service| service.store().outbox_depth().0),
        in_hand: slot.in_hand(),
    };
    platform.slots.iter().map(reading).collect()
}

/// What a service heard of those that announce on a topic: whether all have the same rows, and how many ranges differ.
fn compared(service: &Service, topic: &str) -> (Option<bool>, usize) {
    let publishers = service.heard().as_of(topic);
    let same = publishers.iter().map(|publisher| publisher.status.equal).reduce(|all, one| all && one);
    (same, publishers.iter().map(|publisher| publisher.status.differing_ranges).sum())
}

/// As the value of a query parameter.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_much_is_remembered() {
        let sight = Sight::default();
        for number in 1..=HISTORY_MAX as u64 + 10 {
            sight.note(Look { sample: Sample { number, ..Sample::default() }, ..Look::default() });
        }
        let (look, all) = sight.since(0);
        assert_eq!(
            (all.len(), all[0].number, look.sample.number),
            (HISTORY_MAX, 11, HISTORY_MAX as u64 + 10)
        );
        assert_eq!(sight.since(HISTORY_MAX as u64 + 8).1.len(), 2);
    }

    #[test]
    fn what_repairs_is_read_from_the_metrics() {
        let series = |what: &str, topic: &str, value: u64| {
            format!("antiphon_anti_entropy_{what}_total{{topic=\"{topic}\"}} {value}\n")
        };
        let metrics = [
            series("messages", "tallies", 3),
            series("messages", "parts", 2),
            series("messages", "wants.tallies", 4),
            series("rows", "tallies", 7),
            series("bytes", "tallies", 100),
            series("bytes", "wants.tallies", 50),
        ];
        let read = RepairReading::read(&metrics.concat());
        let RepairReading { digests, wants, rows, bytes } = read;
        assert_eq!(format!("{digests} {wants} {rows} {bytes}"), "5 4 7 150");
    }

    #[test]
    fn what_is_not_known_is_not_said_to_be_exact() {
        let part = PartReading { listed: Some(3), shown: Some(5), plain: -1, ..PartReading::default() };
        assert_eq!(
            (part.off(part.shown), part.off(Some(part.plain)), part.off(None)),
            (Some(2), Some(4), None)
        );
        let parts = [part.clone(), PartReading { shown: None, ..part }];
        assert_eq!(parts.iter().map(|part| part.off(part.shown)).sum::<Option<u64>>(), None);
    }
}
