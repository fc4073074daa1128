//! Which calls there are: one row each. The router, `openapi.json` and the tests read the same table.

use hyper::Method;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the rows of the table say it
pub enum Call {
    Metrics,
    ListPayments,
    OnePayment,
    Pay,
    Abort,
    Refund,
    Reverse,
    Again,
    Resolve,
    Registers,
    Terminals,
    TestTerminal,
    EndOfDay,
    Service,
    Trace,
    Events,
    Reload,
    OpenApi,
    LogIn,
    LogOut,
}

/// A row: how it is called, and what it says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// GET or POST.
    pub method: Verb,
    /// The path; `{…}` stands for one segment.
    pub path: &'static str,
    /// What it does.
    pub call: Call,
    /// Whether it can move money, and so needs an `Idempotency-Key`.
    pub moves_money: bool,
    /// One sentence.
    pub summary: &'static str,
}

/// The two methods there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verb {
    Get,
    Post,
}

impl Verb {
    /// The word in a request.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
        }
    }

    fn is(self, method: &Method) -> bool {
        method.as_str() == self.name()
    }
}

const fn get(path: &'static str, call: Call, summary: &'static str) -> Route {
    Route { method: Verb::Get, path, call, moves_money: false, summary }
}

const fn post(path: &'static str, call: Call, summary: &'static str) -> Route {
    Route { method: Verb::Post, path, call, moves_money: false, summary }
}

const fn money(path: &'static str, call: Call, summary: &'static str) -> Route {
    Route { method: Verb::Post, path, call, moves_money: true, summary }
}

/// Every call of the admin listener, besides health.
pub const ROUTES: &[Route] = &[
    get("/metrics", Call::Metrics, "Everything that is counted, for Prometheus."),
    get("/api/v1/payments", Call::ListPayments, "Payments, newest first: ?state=&register=&document=&since=&limit="),
    money(
        "/api/v1/payments",
        Call::Pay,
        "Starts a payment: {register, operation, amount, currency, document, confirm_repeat, reason}.",
    ),
    get("/api/v1/payments/{id}", Call::OnePayment, "One payment with its transitions, receipts and incidents."),
    post(
        "/api/v1/payments/{id}/abort",
        Call::Abort,
        "Asks a payment to stop, perhaps with {reason}; the outcome still decides.",
    ),
    money(
        "/api/v1/payments/{id}/refund",
        Call::Refund,
        "Pays back an approved sale, or {amount} of it, perhaps with {reason}.",
    ),
    money(
        "/api/v1/payments/{id}/reverse",
        Call::Reverse,
        "Takes an approved sale back as a whole, perhaps with {reason}.",
    ),
    money(
        "/api/v1/payments/{id}/again",
        Call::Again,
        "Starts a new payment in place of one that came to nothing, perhaps with {reason}.",
    ),
    post(
        "/api/v1/payments/{id}/resolve",
        Call::Resolve,
        "Says what became of a payment in doubt: {state, reason, receipt_number, force}.",
    ),
    get("/api/v1/registers", Call::Registers, "The registers and their terminals."),
    get("/api/v1/terminals", Call::Terminals, "The terminals and how they are."),
    post("/api/v1/terminals/{name}/test", Call::TestTerminal, "Asks a terminal whether it is ready."),
    post("/api/v1/terminals/{name}/end-of-day", Call::EndOfDay, "Closes a terminal's business day."),
    post("/api/v1/terminals/{name}/services/{service}", Call::Service, "Runs a service of the terminal's driver."),
    post("/api/v1/terminals/{name}/trace", Call::Trace, "Logs a terminal's frames, masked, for {minutes}: 1 to 60."),
    get("/api/v1/events", Call::Events, "What happens, as it happens (server-sent events)."),
    post("/api/v1/reload", Call::Reload, "Reads the configuration again."),
    get("/api/v1/openapi.json", Call::OpenApi, "This table, for programs."),
    post("/api/v1/session", Call::LogIn, "Exchanges {token} for a cookie."),
    post("/api/v1/session/end", Call::LogOut, "Ends the session of the cookie."),
];

/// What a request means.
#[derive(Debug)]
pub enum Found {
    /// This row, with the segments that its path leaves open.
    Route(&'static Route, Vec<String>),
    /// The path is there, with another method.
    WrongMethod(&'static str),
    /// Nothing.
    Nothing,
}

/// Finds the row of a request.
pub fn find(method: &Method, path: &str) -> Found {
    let mut other = None;
    for route in ROUTES {
        let Some(open) = matches(route.path, path) else { continue };
        if route.method.is(method) {
            return Found::Route(route, open);
        }
        other = Some(route.method.name());
    }
    other.map_or(Found::Nothing, Found::WrongMethod)
}

/// The open segments, percent-decoded, if the path fits.
fn matches(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut open = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(open),
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => open.push(decode(given)?),
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

/// Undoes percent-encoding (RFC 3986, 2.1).
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_rows() {
        for (method, path, expected) in [
            (Method::GET, "/api/v1/payments", Some(Call::ListPayments)),
            (Method::POST, "/api/v1/payments", Some(Call::Pay)),
            (Method::POST, "/api/v1/terminals/bar%20two/services/keypad-lock", Some(Call::Service)),
            (Method::GET, "/api/v1/payments/", None),
            (Method::GET, "/api/v1/payments/x/y", None),
            (Method::GET, "/", None),
        ] {
            let found = match find(&method, path) {
                Found::Route(route, _) => Some(route.call),
                Found::WrongMethod(_) | Found::Nothing => None,
            };
            assert_eq!(found, expected, "{method} {path}");
        }
        assert!(matches!(find(&Method::DELETE, "/api/v1/reload"), Found::WrongMethod("POST")));
        match find(&Method::POST, "/api/v1/terminals/bar%20two/test") {
            Found::Route(_, open) => assert_eq!(open, ["bar two"]),
            other => panic!("{other:?}"),
        }
    }
}
