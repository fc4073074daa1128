//! `tillswitch pay`: starts a payment at a register, or pays money back without a payment to undo.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::client::money::{MoneyArgs, Start, start};
use super::client::{Client, Trouble};

/// What `tillswitch pay` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct PayArgs {
    /// The register that the payment belongs to
    #[arg(long, value_name = "NAME")]
    register: String,
    /// How much, such as 25.90
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    amount: String,
    /// The currency; otherwise that of the register's terminal
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// The number of the document that is paid
    #[arg(long, value_name = "NUMBER")]
    document: Option<String>,
    /// What kind of document that is
    #[arg(long, value_name = "TYPE", requires = "document")]
    document_type: Option<String>,
    /// Pay money back; what undoes a payment is `tillswitch refund`
    #[arg(long)]
    refund: bool,
    #[command(flatten)]
    money: MoneyArgs,
}

/// Pays, and exits with 0 only if all of it was approved.
pub fn run(args: &PayArgs) -> ExitCode {
    start(&args.money, async |client| {
        let currency = match &args.currency {
            Some(currency) => currency.clone(),
            None => currency_of(client, &args.register).await?,
        };
        Ok(Start { path: "/api/v1/payments".to_owned(), body: body(args, &currency) })
    })
}

fn body(args: &PayArgs, currency: &str) -> Value {
    let mut body = json!({
        "register": args.register, "operation": if args.refund { "refund" } else { "sale" },
        "amount": args.amount, "currency": currency, "confirm_repeat": args.money.confirm_repeat,
    });
    if let Some(number) = &args.document {
        body["document"] = json!({ "number": number });
        if let Some(kind) = &args.document_type {
            body["document"]["type"] = kind.as_str().into();
        }
    }
    body
}

/// What the register's terminal settles in. Of a register that is not there, the router says so itself.
async fn currency_of(client: &Client, register: &str) -> Result<String, Trouble> {
    let registers = client.get("/api/v1/registers").await?;
    let terminals = client.get("/api/v1/terminals").await?;
    let terminal = named(&registers["registers"], register).map_or(&Value::Null, |register| &register["terminal"]);
    let terminal = named(&terminals["terminals"], terminal.as_str().unwrap_or_default());
    let currency = terminal.and_then(|terminal| terminal["currency"].as_str());
    Ok(currency.unwrap_or("EUR").to_owned())
}

fn named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry["name"] == name)
}
