//! Rubbish: what no service should take, and each must refuse with a reason.

use super::person::Person;
use crate::service::ServiceName;
use crate::world::{Answer, Ask};
use serde_json::{Value, json};

impl Person {
    /// Sends something that is refused, whatever state the service is in.
    pub(crate) async fn rubbish(&mut self) {
        let part = self.some_part().map_or_else(|| "0".repeat(32), |part| part.id);
        let comments = format!("/v1/parts/{part}/comments");
        let good = json!({ "text": "never said" });
        let asks = [
            (ServiceName::Comments, Ask::new("POST", &comments).json(&good), vec![401]),
            (ServiceName::Comments, Ask::new("POST", &comments).bearer("x.y.z").json(&good), vec![401]),
            (ServiceName::Comments, Ask::get(format!("{comments}?limit=0")), vec![400]),
            (ServiceName::Comments, Ask::get(format!("{comments}?cursor=%00")), vec![400]),
            (ServiceName::Comments, Ask::get("/v1/parts/nobody/comments"), vec![400, 404]),
            (ServiceName::Stories, Ask::new("PUT", format!("/v1/parts/{part}/vote")), vec![401]),
            (ServiceName::Users, Ask::new("POST", "/v1/users").raw(b"{\"name\":".to_vec()), vec![400]),
            (
                ServiceName::Users,
                Ask::new("POST", "/v1/users").key("short").json(&json!({ "name": "x" })),
                vec![400],
            ),
        ];
        let index = self.rng.usize(0..asks.len());
        let Some((service, ask, allowed)) = asks.into_iter().nth(index) else { return };
        let at = self.somewhere(service);
        let told = ask.to_string();
        let answer = self.world.ask(at, ask).await;
        self.world.trace(&self.name, format_args!("rubbish: {told} at {at}: {answer:?}"));
        if let Answer::Said { status, body } = answer
            && status != 503
            && (!allowed.contains(&status) || body.get("detail").is_none_or(Value::is_null))
        {
            self.world.fail("rubbish is refused with a reason", format!("{told} at {at}: {status} {body}"));
        }
    }
}
