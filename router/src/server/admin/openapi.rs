//! The table of calls as an OpenAPI document.

use serde_json::{Map, Value, json};

use super::table::{Call, ROUTES, Route};

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
        "responses": responses(route.call),
    })
}

fn responses(call: Call) -> Value {
    let mut responses = json!({
        "default": { "description": "JSON; errors have status, code and message, and the payment where there is one" }
    });
    if call == Call::EndOfDay {
        responses["200"] = json!({
            "description": "The day is closed. What the terminal does not tell is absent",
            "content": { "application/json": { "schema": end_of_day() } },
        });
    }
    responses
}

fn end_of_day() -> Value {
    let text = || json!({ "type": "string" });
    let number = || json!({ "type": "integer", "minimum": 0 });
    let object = |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties });
    object(
        &["terminal", "message"],
        json!({
            "terminal": text(),
            "message": text(),
            "total": object(&["amount_minor", "currency"], json!({ "amount_minor": number(), "currency": text() })),
            "count": number(),
            "receipts": object(&["first", "last"], json!({ "first": text(), "last": text() })),
            "brands": { "type": "array", "items": object(
                &["brand", "count", "amount_minor", "currency"],
                json!({ "brand": text(), "count": number(), "amount_minor": number(), "currency": text() }),
            ) },
        }),
    )
}

fn open_segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}
