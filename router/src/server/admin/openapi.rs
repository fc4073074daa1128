//! The table of calls as an OpenAPI document.

use serde_json::{Map, Value, json};

use super::table::{ROUTES, Route};

/// OpenAPI 3.1.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.name().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tillswitch admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "For whoever runs the shop. Not for the internet.",
        },
        "paths": paths,
        "components": { "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } },
        "security": [{ "token": [] }],
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = open_segments(route.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    if route.moves_money {
        parameters.push(json!({ "name": "Idempotency-Key", "in": "header", "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 } }));
    }
    json!({
        "summary": route.summary,
        "operationId": format!("{:?}", route.call),
        "parameters": parameters,
        "responses": {
            "default": { "description": "JSON; errors have status, code and message, and the payment where there is one" }
        },
    })
}

fn open_segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}
