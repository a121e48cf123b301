//! The people who comment, the one who tells the story, the story and its parts.

use std::sync::Arc;

use futures_util::stream::{StreamExt, TryStreamExt, iter};
use messages::PartId;
use serde::Serialize;

use super::answers::{Part, SignedIn, Story};
use super::call::{Call, CallError};
use super::error::{ReplayError, While};
use super::hostile::{Fate, Hostile};
use super::keys::{Key, Keys};
use super::mend;
use super::player::Player;
use super::progress::Progress;
use super::session::Session;

/// What the author of the replayed parts is called.
const STORYTELLER: &str = "Replay";

/// Signs everybody up, in the order of the file.
pub(super) async fn sign_up(
    player: &Player<'_>,
    keys: &Keys,
    names: &[String],
    hostile: Option<Hostile>,
    connections: usize,
) -> Result<Vec<Arc<Session>>, ReplayError> {
    let progress = Progress::start("people", names.len());
    let one = async |(number, name): (usize, &String)| {
        let fate = hostile.map_or_else(Fate::default, |hostile| hostile.person(number));
        let session = sign_in(player, keys.user(name), &mend::name(name), fate).await;
        progress.add(1);
        session.doing(|| format!("creating the user {name:?}"))
    };
    iter(names.iter().enumerate()).map(one).buffered(connections).try_collect().await
}

/// Makes the story and its parts, one after the other, so that they stand in the order of the file.
pub(super) async fn tell(
    player: &Player<'_>,
    keys: &Keys,
    file_name: &str,
    parts: &[String],
) -> Result<Vec<PartId>, ReplayError> {
    #[derive(Serialize)]
    struct NewStory<'a> {
        title: &'a str,
    }
    #[derive(Serialize)]
    struct NewPart<'a> {
        title: &'a str,
        paragraphs: [&'a str; 1],
    }
    let progress = Progress::start("parts", parts.len());
    let teller = sign_in(player, keys.storyteller(), STORYTELLER, Fate::default()).await;
    let teller = teller.doing(|| "creating the storyteller".to_owned())?;
    let title = mend::title(&format!("Replay of {file_name}"));
    let call = Call::post("/v1/stories".to_owned(), keys.story(), &NewStory { title: &title }).by(&teller);
    let story: Story = player.client().send(&call).await.doing(|| "creating the story".to_owned())?;
    let path = format!("/v1/stories/{}/parts", story.id);
    let mut ids = Vec::with_capacity(parts.len());
    for name in parts {
        let body = NewPart { title: &mend::title(name), paragraphs: ["What was said here, replayed."] };
        let call = Call::post(path.clone(), keys.part(name), &body).by(&teller);
        let part: Part = player.client().send(&call).await.doing(|| format!("creating the part {name:?}"))?;
        ids.push(part.id);
        progress.add(1);
    }
    Ok(ids)
}

async fn sign_in(player: &Player<'_>, key: Key, name: &str, fate: Fate) -> Result<Arc<Session>, CallError> {
    #[derive(Serialize)]
    struct NewUser<'a> {
        name: &'a str,
    }
    let call = Call::post("/v1/users".to_owned(), key, &NewUser { name });
    let signed_in: SignedIn = player.create(&call, fate).await?;
    Ok(Arc::new(Session::new(&signed_in.token, call)))
}
