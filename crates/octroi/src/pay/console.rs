//! What people are told on standard error while a purchase goes on.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::{Request, Response};
use octroi_types::Mode;
use octroi_x402::{SettleResponse, Token, header};

use super::args::PayArgs;
use super::buyer_key::BuyerKey;
use super::report::{PaymentView, TermsView};
use crate::output::{self, Style, one_line, printable};

const FIELD_CHARS_MAX: usize = 200;

/// Tells people; silent with `--json`, but for what `--verbose` asks for.
pub(crate) struct Console {
    style: Style,
    quiet: bool,
    verbose: bool,
}

impl Console {
    pub(crate) fn new(args: &PayArgs) -> Self {
        Self {
            style: Style::stderr(),
            quiet: args.json,
            verbose: args.verbose,
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            output::note(text.trim_end());
        }
    }

    /// A request that is about to be sent.
    pub(crate) fn request<B>(&self, request: &Request<B>) {
        if self.verbose {
            let start = format!("{} {}", request.method(), request.uri());
            output::note(&head_text("> ", &start, request.headers()));
        }
    }

    /// The head of an answer.
    pub(crate) fn response_head<B>(&self, response: &Response<B>) {
        if self.verbose {
            let start = format!("{:?} {}", response.version(), response.status());
            output::note(&head_text("< ", &start, response.headers()));
        }
    }

    /// What the server wants.
    pub(crate) fn terms(&self, terms: &TermsView) {
        let style = self.style;
        let symbol = terms.symbol.unwrap_or("the token");
        let money = match terms.mode {
            Some(Mode::Test) => style.dim("play money"),
            Some(Mode::Live) => style.yellow("REAL MONEY"),
            None => style.yellow("a network that is not known here"),
        };
        let mut text = format!("{}\n", style.bold("402 Payment Required"));
        let price = style.bold(&terms.dollars);
        let (amount, asset, network) = (terms.amount, terms.asset, &terms.network_name);
        let _ = writeln!(
            text,
            "  price     {price} = {amount} units of {symbol} {asset}"
        );
        let _ = writeln!(text, "  network   {network}, {money}");
        let _ = writeln!(text, "  pay to    {}", terms.pay_to);
        let _ = writeln!(
            text,
            "  for       {}",
            one_line(&terms.resource, FIELD_CHARS_MAX)
        );
        if let Some(description) = &terms.description {
            let _ = writeln!(text, "            {}", printable(description));
        }
        self.say(&text);
    }

    /// The payment that is about to be sent.
    pub(crate) fn paying(&self, key: &BuyerKey) {
        let text = format!(
            "paying from {} (key: {})",
            key.address,
            printable(&key.source)
        );
        self.say(&self.style.dim(&text));
    }

    /// What would be signed.
    pub(crate) fn dry_run(&self, token: &Token, payment: Option<&PaymentView>) {
        let mut text = format!("{}\n", self.style.bold("Would sign (EIP-3009)"));
        let (name, version) = (token.domain_name(), token.domain_version());
        let domain = one_line(&format!("{name} version {version}"), FIELD_CHARS_MAX);
        let _ = writeln!(text, "  token     {domain}, chain id {}", token.chain().0);
        match payment {
            Some(payment) => {
                let _ = writeln!(text, "  from      {}", payment.payer);
                let _ = writeln!(
                    text,
                    "  valid     after {} and before {} (Unix seconds)",
                    payment.valid_after, payment.valid_before
                );
            }
            None => {
                let _ = writeln!(text, "  from      nobody: no key was found");
            }
        }
        let _ = writeln!(text, "Nothing was paid.");
        self.say(&text);
    }

    /// The same payment will be sent again, because the server said this.
    pub(crate) fn waiting(&self, said: &str, after: Duration, left: u32) {
        let seconds = after.as_secs();
        let said = said.trim_end_matches('.');
        let tries = if left == 1 { "try" } else { "tries" };
        self.say(&format!(
            "not yet: {said}; sending the same payment again in {seconds} s ({left} {tries} left)"
        ));
    }

    /// Something that needs no action.
    pub(crate) fn remark(&self, text: &str) {
        self.say(&self.style.yellow(text));
    }

    /// Ends a line of content that is on the same terminal.
    pub(crate) fn end_line(&self) {
        self.say("");
    }

    /// What the server says about the money.
    pub(crate) fn receipt(&self, terms: &TermsView, receipt: Option<&SettleResponse>) {
        let Some(receipt) = receipt else {
            self.remark("the server sent no receipt: it does not say that anything was charged");
            return;
        };
        if !receipt.success {
            let reason = receipt.error_reason.as_deref().unwrap_or("no reason given");
            let reason = one_line(reason, FIELD_CHARS_MAX);
            self.remark(&format!(
                "the receipt says that the payment did not settle: {reason}"
            ));
            return;
        }
        let mut text = self
            .style
            .green(&format!("paid {}", terms.dollars))
            .into_owned();
        text.push('\n');
        let mut field = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<12}{}", one_line(value, FIELD_CHARS_MAX));
        };
        match receipt.transaction.as_str() {
            "" => field("transaction", "none: an earlier payment covered it"),
            hash => field("transaction", hash),
        }
        field("network", &receipt.network);
        if let Some(payer) = &receipt.payer {
            field("payer", payer);
        }
        if let Some(amount) = &receipt.amount {
            field("amount", &format!("{amount} units"));
        }
        self.say(&text);
    }

    /// A refund credit that the server names.
    pub(crate) fn refund_credit(&self, credit: &str) {
        self.remark(&format!(
            "the server gave a refund credit, {credit}: it pays for the next request"
        ));
    }
}

/// A head as text, without secrets.
fn head_text(prefix: &str, start: &str, headers: &HeaderMap) -> String {
    let mut text = format!("{prefix}{}", printable(start));
    for (name, value) in headers {
        let _ = write!(text, "\n{prefix}{name}: {}", shown(name, value));
    }
    text
}

fn shown(name: &HeaderName, value: &HeaderValue) -> String {
    let is_payment = [header::PAYMENT_SIGNATURE, header::X_PAYMENT].contains(&name.as_str());
    if value.is_sensitive() || is_payment || name == SET_COOKIE {
        return "[redacted]".to_owned();
    }
    printable(&String::from_utf8_lossy(value.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_shown_without_secrets() {
        let mut headers = HeaderMap::new();
        let mut token = HeaderValue::from_static("Bearer hunter2");
        token.set_sensitive(true);
        headers.insert("authorization", token);
        headers.insert("x-payment", HeaderValue::from_static("hunter2"));
        headers.insert("set-cookie", HeaderValue::from_static("a=hunter2"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let text = head_text("> ", "GET /", &headers);
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.starts_with("> GET /\n") && text.contains("> accept: */*"));
        assert_eq!(text.matches("[redacted]").count(), 3);
    }
}
