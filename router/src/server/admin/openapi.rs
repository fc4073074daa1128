//! The table of calls as an OpenAPI document.

use serde_json::{Map, Value, json};

use super::table::{Call, ROUTES, Route};
use crate::journal::State;

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
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Payment": payment(), "Error": error() },
        },
        "security": [{ "token": [] }],
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = open_segments(route.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }))
        .collect();
    if route.moves_money {
        parameters.push(json!({ "name": "Idempotency-Key", "in": "header", "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 } }));
    }
    if route.call == Call::ListPayments {
        parameters.extend(search());
    }
    let mut operation = json!({
        "summary": route.summary,
        "operationId": format!("{:?}", route.call),
        "parameters": parameters,
        "responses": responses(route.call),
    });
    if let Some((required, schema)) = body(route.call) {
        let content = json!({ "application/json": { "schema": schema } });
        operation["requestBody"] = json!({ "required": required, "content": content });
    }
    if route.call == Call::LogIn {
        // The one call that a client without the token makes.
        operation["security"] = json!([]);
    }
    operation
}

fn search() -> impl Iterator<Item = Value> {
    let schemas = [
        ("state", json!({ "type": "string", "enum": State::ALL.map(State::name) })),
        ("register", text()),
        ("document", text()),
        ("since", json!({ "type": "string", "format": "date-time" })),
        ("limit", json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 50 })),
    ];
    schemas.into_iter().map(|(name, schema)| json!({ "name": name, "in": "query", "schema": schema }))
}

/// What a call is told, and whether it has to be told anything.
fn body(call: Call) -> Option<(bool, Value)> {
    let flag = || json!({ "type": "boolean", "default": false });
    let confirmed = || closed(&[], json!({ "confirm_repeat": flag(), "reason": text() }));
    let schema = match call {
        Call::Pay => closed(
            &["register", "operation", "amount", "currency"],
            json!({
                "register": text(),
                "operation": { "enum": ["sale", "refund"] },
                "amount": amount(),
                "currency": { "type": "string", "pattern": "^[A-Z]{3}$" },
                "document": closed(&["number"], json!({ "number": text(), "type": text() })),
                "confirm_repeat": flag(),
                "reason": text(),
            }),
        ),
        Call::Refund => closed(&[], json!({ "amount": amount(), "confirm_repeat": flag(), "reason": text() })),
        Call::Abort => closed(&[], json!({ "reason": text() })),
        Call::Reverse | Call::Again => confirmed(),
        Call::Resolve => closed(
            &["state", "reason"],
            json!({
                "state": { "enum": ["approved", "declined", "cancelled", "failed"] },
                "reason": text(),
                "receipt_number": text(),
                "force": flag(),
            }),
        ),
        Call::Trace => closed(&[], json!({ "minutes": { "type": "integer", "minimum": 1, "maximum": 60 } })),
        Call::LogIn => closed(&["token"], json!({ "token": text() })),
        _ => return None,
    };
    Some((matches!(call, Call::Pay | Call::Resolve | Call::LogIn), schema))
}

fn responses(call: Call) -> Value {
    let (kind, schema) = match call {
        Call::Metrics => ("text/plain", json!({ "type": "string" })),
        Call::Events => ("text/event-stream", json!({ "type": "string" })),
        _ => ("application/json", told(call)),
    };
    json!({
        "2XX": { "description": "It is done, or under way", "content": { kind: { "schema": schema } } },
        "default": {
            "description": "Not done: why, and what to do",
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
        },
    })
}

/// What a call that succeeds tells. Of a list, one of each.
fn told(call: Call) -> Value {
    let list = |item: Value| json!({ "type": "array", "items": item });
    let payment = || json!({ "$ref": "#/components/schemas/Payment" });
    match call {
        Call::ListPayments => object(&["payments"], json!({ "payments": list(payment()) })),
        Call::OnePayment => json!({ "allOf": [payment(), history()] }),
        Call::Pay | Call::Refund | Call::Reverse | Call::Again | Call::Abort | Call::Resolve => {
            object(&["payment"], json!({ "payment": payment() }))
        }
        Call::Registers => {
            let register = object(&["name", "terminal", "project_ids"], json!({ "name": text(), "terminal": text() }));
            object(&["registers"], json!({ "registers": list(register) }))
        }
        Call::Terminals => object(&["terminals"], json!({ "terminals": list(terminal()) })),
        Call::EndOfDay => end_of_day(),
        Call::TestTerminal | Call::Service => object(&["terminal"], json!({ "terminal": text() })),
        Call::Trace => object(&["terminal", "minutes"], json!({ "terminal": text(), "minutes": number() })),
        Call::Reload | Call::LogIn | Call::LogOut => object(&["status"], json!({ "status": text() })),
        Call::OpenApi | Call::Metrics | Call::Events => json!({ "type": "object" }),
    }
}

fn payment() -> Value {
    let instant = || json!({ "type": "string", "format": "date-time" });
    object(
        &[
            "id",
            "state",
            "register",
            "terminal",
            "driver",
            "operation",
            "amount",
            "amount_minor",
            "currency",
            "received_at",
        ],
        json!({
            "id": { "type": "string", "format": "uuid" },
            "state": { "enum": State::ALL.map(State::name) },
            "register": text(),
            "terminal": text(),
            "driver": text(),
            "operation": { "enum": ["sale", "refund", "reversal"] },
            "amount": text(),
            "amount_minor": number(),
            "tip_minor": number(),
            "currency": text(),
            "document": object(&["number"], json!({ "number": text() })),
            "original": { "type": "string", "format": "uuid" },
            "again_of": { "type": "string", "format": "uuid" },
            "received_at": instant(),
            "finished_at": instant(),
            "waits_for_person": { "type": "boolean" },
            "result": object(&["code", "message"], json!({ "code": text(), "message": { "type": "string" } })),
        }),
    )
}

fn history() -> Value {
    let row = object(&["number", "time", "state", "actor", "evidence"], json!({ "number": number() }));
    let list = |item: Value| json!({ "type": "array", "items": item });
    object(
        &["transitions", "receipts", "incidents"],
        json!({
            "transitions": list(row),
            "receipts": list(object(&["kind", "text"], json!({ "kind": text(), "text": { "type": "string" } }))),
            "incidents": list(object(&["time", "message"], json!({ "message": text() }))),
        }),
    )
}

fn terminal() -> Value {
    object(
        &["name", "driver", "address", "currency", "state", "queue"],
        json!({
            "name": text(),
            "driver": text(),
            "address": text(),
            "currency": text(),
            "state": { "enum": ["free", "busy", "in_doubt"] },
            "queue": object(&["waiting", "capacity"], json!({ "waiting": number(), "capacity": number() })),
        }),
    )
}

fn error() -> Value {
    object(
        &["status", "message"],
        json!({
            "status": { "enum": ["error", "declined", "cancelled", "pending", "in_doubt"] },
            "code": text(),
            "message": text(),
            "payment": { "$ref": "#/components/schemas/Payment" },
        }),
    )
}

fn end_of_day() -> Value {
    object(
        &["terminal", "message"],
        json!({
            "terminal": text(),
            "message": { "type": "string" },
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

fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// A number or decimal text; more than zero, exact in its currency.
fn amount() -> Value {
    json!({ "oneOf": [{ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$" }, { "type": "number", "exclusiveMinimum": 0 }] })
}

/// What is told: more may come.
fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

/// What is asked: an unknown key is a mistake.
fn closed(required: &[&str], properties: Value) -> Value {
    let mut schema = object(required, properties);
    schema["additionalProperties"] = false.into();
    schema
}

fn open_segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}
