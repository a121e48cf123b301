//! The description: complete, and it refers to nothing that is missing.

use crate::world::World;
use api::openapi::SharedParts;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

#[derive(utoipa::OpenApi)]
#[openapi(info(title = "stories"), modifiers(&SharedParts))]
struct Description;

#[tokio::test]
async fn the_description_is_complete() {
    let world = World::new().await;
    let service = OpenApiRouter::<()>::with_openapi(Description::openapi()).merge(world.stories.router());
    let (_, description) = service.split_for_parts();
    let text = serde_json::to_string(&description).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let mut described = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described.insert(format!("{} {path}", method.to_uppercase()));
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            let named = |name: &str| {
                operation["parameters"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one["name"] == name))
            };
            for name in ["story", "part"] {
                assert_eq!(path.contains(&format!("{{{name}}}")), named(name), "{method} {path}");
            }
            assert_eq!(
                method == "post" && !path.ends_with("/reads") || method == "patch",
                named("Idempotency-Key")
            );
        }
    }
    let routes = [
        "DELETE /v1/parts/{part}",
        "DELETE /v1/parts/{part}/vote",
        "GET /v1/parts/{part}",
        "GET /v1/parts/{part}/comment-count/proof",
        "GET /v1/stories",
        "GET /v1/stories/{story}",
        "PATCH /v1/parts/{part}",
        "POST /v1/parts/{part}/reads",
        "POST /v1/stories",
        "POST /v1/stories/{story}/parts",
        "PUT /v1/parts/{part}/place",
        "PUT /v1/parts/{part}/vote",
    ];
    assert_eq!(described.into_iter().collect::<Vec<_>>(), routes);
    let reads = &document["paths"]["/v1/parts/{part}/reads"]["post"]["requestBody"];
    assert_ne!(reads["required"], true, "who reads need not say so");
    let place = &document["components"]["schemas"]["PlaceRequest"];
    assert_eq!(
        (&place["required"], &place["properties"]["behind"]["type"]),
        (&json!(["behind"]), &json!(["string", "null"]))
    );
    let show = &document["paths"]["/v1/parts/{part}"]["get"];
    assert_eq!(show["security"], json!([{}, { "bearer": [] }]), "a token is welcome, not needed");
    let body = &show["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/PartView");
}
