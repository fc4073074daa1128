//! What do the dashboards ask, and of which series?

use std::collections::BTreeSet;

use serde_json::Value;

use super::tools::folder;

/// What begins like this is a metric. `up` is one too.
const FAMILIES: [&str; 3] = ["tillswitch", "process_", "tokio_"];

/// One question of a dashboard, with every variable filled in.
#[derive(Debug)]
pub struct Question {
    /// Whose it is: dashboard and panel.
    pub whose: String,
    /// The PromQL.
    pub expr: String,
    /// Whether it is asked for one moment, not for a stretch of time.
    pub instant: bool,
}

/// The values of a variable: `label_values(selector, label)`.
#[derive(Debug)]
pub struct Choice {
    /// The series.
    pub selector: String,
    /// The label.
    pub label: String,
}

/// Both dashboards as JSON.
pub fn boards() -> Vec<Value> {
    ["payments.json", "shop-today.json"]
        .iter()
        .map(|name| {
            let text = std::fs::read_to_string(folder().join("dashboards").join(name)).unwrap();
            serde_json::from_str(&text).unwrap()
        })
        .collect()
}

/// What the panels ask.
pub fn of_panels(board: &Value) -> Vec<Question> {
    let mut found = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let whose = format!("{}: {}", board["title"].as_str().unwrap(), panel["title"].as_str().unwrap());
            found.push(Question { whose, expr: filled(&target["expr"]), instant: target["instant"] == true });
        }
    }
    found
}

/// What the annotations ask.
pub fn of_annotations(board: &Value) -> Vec<Question> {
    let marks = board["annotations"]["list"].as_array().unwrap();
    let question =
        |mark: &Value| Question { whose: mark["name"].to_string(), expr: filled(&mark["expr"]), instant: false };
    marks.iter().map(question).collect()
}

/// What the variables ask.
pub fn of_variables(board: &Value) -> Vec<Choice> {
    let variables = board["templating"]["list"].as_array().unwrap().iter();
    variables
        .filter(|variable| variable["type"] == "query")
        .map(|variable| {
            let query = filled(&variable["query"]["query"]);
            let inside = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
            let (selector, label) = inside.rsplit_once(", ").unwrap();
            Choice { selector: selector.to_owned(), label: label.to_owned() }
        })
        .collect()
}

/// As Grafana would ask while "All" is chosen everywhere. The windows fit a test that lasts a minute.
fn filled(expr: &Value) -> String {
    let values = [("$__rate_interval", "30s"), ("$__range", "90s")];
    let choices = [("$register", ".+"), ("$terminal", ".+"), ("$driver", ".+")];
    let filled = values
        .iter()
        .chain(&choices)
        .fold(expr.as_str().unwrap().to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "unknown variable in {filled}");
    filled
}

/// Every selector of an expression by itself, without its window: `name{label="value"}`.
pub fn selectors(expr: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = expr;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '"') {
        rest = &rest[start..];
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = &quoted[quoted.find('"').expect("quotes are closed") + 1..];
            continue;
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let labels = if after.starts_with('{') { &after[..=after.find('}').expect("braces are closed")] } else { "" };
        if name == "up" || FAMILIES.iter().any(|family| name.starts_with(family)) {
            found.insert(format!("{name}{labels}"));
        }
        rest = &after[labels.len()..];
    }
    found
}

#[test]
fn selectors_are_found_wherever_they_stand() {
    let check = |expr: &str, expected: &[&str]| {
        assert_eq!(selectors(expr), expected.iter().map(|&one| one.to_owned()).collect(), "{expr}");
    };
    check("sum by (terminal) (rate(tillswitch_a_total[5m])) / tillswitch:b", &["tillswitch_a_total", "tillswitch:b"]);
    check(r#"min(up{job="tillswitch"}) * time()"#, &[r#"up{job="tillswitch"}"#]);
    check(r#"tillswitch_a{up="up"}[5m]"#, &[r#"tillswitch_a{up="up"}"#]);
}
