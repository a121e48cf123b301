//! Topics: made when they are missing, checked when they are there.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::{Instant, sleep};

use super::cluster::{ASK_WAIT, Cluster, Shape, blocking};
use super::errors::{answered, told};
use super::names::Names;
use crate::{Action, Change, QueueError};

/// How long a topic that was made may take until all brokers speak of it.
const APPEAR_WAIT: Duration = Duration::from_secs(10);
const APPEAR_LOOK: Duration = Duration::from_millis(50);
/// Lets the broker choose.
const AS_THE_BROKER_LIKES: i32 = -1;
/// Dead letters stay until somebody deletes them.
const FOR_EVER_MS: i64 = -1;

/// A topic as it is needed.
#[derive(Clone, Copy)]
struct Needed<'a> {
    name: &'a str,
    partitions: i32,
    /// Whether another number of partitions is to be mended.
    partitions_matter: bool,
    retention_ms: i64,
}

fn needed<'a>(cluster: &Cluster, names: &'a Names) -> [Needed<'a>; 3] {
    let partitions = cluster.options.partitions_made();
    let partitions_matter = cluster.options.partitions.is_some();
    let retention_ms = cluster.options.retention_ms;
    let companion =
        |name, retention_ms| Needed { name, partitions: 1, partitions_matter: false, retention_ms };
    [
        Needed { name: &names.topic, partitions, partitions_matter, retention_ms },
        companion(&names.again, retention_ms),
        companion(&names.dead, FOR_EVER_MS),
    ]
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ASK_WAIT)).operation_timeout(Some(ASK_WAIT))
}

/// What a subscription lacks.
pub(super) async fn plan(cluster: &Arc<Cluster>, names: &Names) -> Result<Vec<Change>, QueueError> {
    let mut changes = Vec::new();
    for needed in needed(cluster, names) {
        changes.extend(lacks(cluster, &needed).await?);
    }
    Ok(changes)
}

/// Makes what is missing, and refuses what does not fit before anything is made.
pub(super) async fn make(cluster: &Arc<Cluster>, names: &Names) -> Result<(), QueueError> {
    let mut work = Vec::new();
    for needed in needed(cluster, names) {
        for change in lacks(cluster, &needed).await? {
            if let Action::Conflict { reason } = change.action {
                return Err(QueueError::Refused(format!("{}: {}: {reason}", cluster.url(), change.target)));
            }
            work.push((needed, change.action));
        }
    }
    for (needed, action) in work {
        match action {
            Action::Create => create(cluster, &needed).await?,
            Action::Alter { .. } | Action::Conflict { .. } => widen(cluster, &needed).await?,
        }
    }
    Ok(())
}

/// Makes a topic for a publisher if there is none, and returns how many partitions it has.
pub(super) async fn make_for_publishing(cluster: &Arc<Cluster>, name: &str) -> Result<i32, QueueError> {
    if let Some(shape) = shape(cluster, name).await? {
        return Ok(shape.partitions);
    }
    let partitions = cluster.options.partitions_made();
    let retention_ms = cluster.options.retention_ms;
    let needed = Needed { name, partitions, partitions_matter: false, retention_ms };
    match given(cluster, &needed) {
        Action::Conflict { reason } if !cluster.options.manages => {
            return Err(QueueError::Refused(format!("topic {name:?}: {reason}")));
        }
        _ => create(cluster, &needed).await?,
    }
    Ok(shape(cluster, name).await?.map_or(partitions, |shape| shape.partitions))
}

async fn shape(cluster: &Arc<Cluster>, name: &str) -> Result<Option<Shape>, QueueError> {
    let (cluster, name) = (Arc::clone(cluster), name.to_owned());
    blocking(move || cluster.shape(&name)).await
}

async fn lacks(cluster: &Arc<Cluster>, needed: &Needed<'_>) -> Result<Vec<Change>, QueueError> {
    let target = format!("topic {:?}", needed.name);
    let change = |action| Change { target: target.clone(), action };
    let manages = cluster.options.manages;
    let Some(shape) = shape(cluster, needed.name).await? else {
        return Ok(vec![change(if manages { Action::Create } else { given(cluster, needed) })]);
    };
    let mut changes = Vec::new();
    if !manages {
        return Ok(changes);
    }
    if needed.partitions_matter && shape.partitions < needed.partitions {
        let (setting, from) = ("partitions".to_owned(), shape.partitions.to_string());
        changes.push(change(Action::Alter { setting, from, to: needed.partitions.to_string() }));
    }
    if let Some(wanted) = cluster.options.replication.filter(|wanted| *wanted != shape.replication) {
        let reason = format!(
            "it has {} replicas, and replication={wanted} is asked for: move it with kafka-reassign-partitions, or \
             ask for what it has",
            shape.replication
        );
        changes.push(change(Action::Conflict { reason }));
    }
    changes.extend(kept_badly(cluster, needed).await?.map(|reason| change(Action::Conflict { reason })));
    Ok(changes)
}

/// What is missing although somebody else was to make it.
fn given(cluster: &Cluster, needed: &Needed<'_>) -> Action {
    let (name, partitions, kept) = (needed.name, needed.partitions, needed.retention_ms);
    let reason = format!(
        "it is missing, and {} is told to make no topics (manage=no): kafka-topics --create --topic {name} \
         --partitions {partitions} --config cleanup.policy=delete --config retention.ms={kept}",
        cluster.url()
    );
    Action::Conflict { reason }
}

/// Why the topic may lose what nobody has read yet.
async fn kept_badly(cluster: &Cluster, needed: &Needed<'_>) -> Result<Option<String>, QueueError> {
    let asked = [ResourceSpecifier::Topic(needed.name)];
    let what = format!("reading the settings of {}", needed.name);
    let described = cluster.admin.describe_configs(&asked, &options()).await;
    let described = match described {
        Ok(described) => described,
        Err(KafkaError::AdminOp(code)) if is_secret(code) => vec![Err(code)],
        Err(error) => return Err(told(cluster.url(), &what, &error)),
    };
    let mut settings = Vec::new();
    for resource in described {
        match resource {
            Ok(resource) => settings.push(resource),
            Err(code) if is_secret(code) => {
                tracing::warn!(%code, "{}: {what}: taken as they are: see to it that nothing is lost", cluster.url());
            }
            Err(code) => return Err(answered(cluster.url(), &what, code)),
        }
    }
    let setting = |name: &str| {
        settings.iter().find_map(|resource| resource.get(name)).and_then(|entry| entry.value.clone())
    };
    let name = needed.name;
    if let Some(policy) = setting("cleanup.policy").filter(|policy| policy.contains("compact")) {
        return Ok(Some(format!(
            "its cleanup.policy is {policy:?}, which drops messages that nobody has read: kafka-configs --alter \
             --topic {name} --add-config cleanup.policy=delete"
        )));
    }
    let kept_ms = setting("retention.ms").and_then(|kept| kept.parse::<i64>().ok());
    let too_short = |kept: i64| kept >= 0 && (needed.retention_ms < 0 || kept < needed.retention_ms);
    if let Some(kept_ms) = kept_ms.filter(|kept| too_short(*kept)) {
        let wanted = needed.retention_ms;
        return Ok(Some(format!(
            "its retention.ms is {kept_ms}, and {wanted} is needed: kafka-configs --alter --topic {name} --add-config \
             retention.ms={wanted}, or set ?retention= to what it has"
        )));
    }
    Ok(None)
}

/// Whether the broker does not tell: not to us, or to nobody.
fn is_secret(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::UnsupportedFeature
            | RDKafkaErrorCode::UnsupportedVersion
    )
}

async fn create(cluster: &Arc<Cluster>, needed: &Needed<'_>) -> Result<(), QueueError> {
    let name = needed.name;
    let what = format!("making the topic {name}");
    let kept = needed.retention_ms.to_string();
    let replication = cluster.options.replication.unwrap_or(AS_THE_BROKER_LIKES);
    let topic = NewTopic::new(name, needed.partitions, TopicReplication::Fixed(replication))
        .set("cleanup.policy", "delete")
        .set("retention.ms", &kept);
    let made = cluster.admin.create_topics([&topic], &options()).await;
    for made in made.map_err(|error| told(cluster.url(), &what, &error))? {
        match made {
            // Another process was faster: as good.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(answered(cluster.url(), &what, code)),
        }
    }
    appeared(cluster, name, 1).await
}

/// Gives a topic more partitions. What is published to them is for every subscription that is there: each begins with
/// the first message of a partition that it has not met.
async fn widen(cluster: &Arc<Cluster>, needed: &Needed<'_>) -> Result<(), QueueError> {
    let what = format!("giving the topic {} {} partitions", needed.name, needed.partitions);
    let wanted = usize::try_from(needed.partitions).unwrap_or(1);
    let partitions = NewPartitions::new(needed.name, wanted);
    let made = cluster.admin.create_partitions([&partitions], &options()).await;
    for made in made.map_err(|error| told(cluster.url(), &what, &error))? {
        if let Err((_, code)) = made {
            return Err(answered(cluster.url(), &what, code));
        }
    }
    appeared(cluster, needed.name, needed.partitions).await
}

async fn appeared(cluster: &Arc<Cluster>, name: &str, partitions: i32) -> Result<(), QueueError> {
    let give_up = Instant::now() + APPEAR_WAIT;
    loop {
        if shape(cluster, name).await?.is_some_and(|shape| shape.partitions >= partitions) {
            return Ok(());
        }
        if Instant::now() >= give_up {
            let what = format!("{}: the topic {name} was made, and no broker shows it yet", cluster.url());
            return Err(QueueError::unavailable(what));
        }
        sleep(APPEAR_LOOK).await;
    }
}
