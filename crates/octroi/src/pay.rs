//! `octroi pay`: a buyer.
//!
//! It asks without a payment, looks at the terms of the 402, signs at most one payment within the
//! limits, and sends it: again and again if it must, but always the same one, because a second
//! signature is a second charge.

mod answer;
mod args;
mod budget;
mod buyer_key;
mod call;
mod console;
mod error;
mod report;
mod resource;
mod sink;

use std::process::ExitCode;

use http::StatusCode;
use http::header::LOCATION;
use octroi_egress::{EgressError, Phase};
use octroi_types::{B256, UnixMicros};
use octroi_x402::SettleResponse;
use octroi_x402::client::{Choice, SignedPayment};
use octroi_x402::payment_identifier::PaymentIdentifier;

pub(crate) use self::args::PayArgs;

use self::answer::{Answer, Verdict};
use self::budget::Budget;
use self::buyer_key::BuyerKey;
use self::call::Call;
use self::console::Console;
use self::error::PayError;
use self::report::{Outcome, PaymentView, Report, TermsView, valid_before};
use self::sink::Sink;
use crate::failure::Failure;
use crate::output::one_line;

/// Buys, tells the story, and says how the process ends.
pub(crate) async fn run(args: &PayArgs) -> ExitCode {
    let mut report = Report::default();
    let bought = buy(args, &mut report).await;
    if let Err(error) = &bought {
        report.set_error(error);
    }
    if args.json
        && let Err(error) = report.print()
    {
        return Failure::from(error).report();
    }
    match bought {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::from(error).report(),
    }
}

/// Everything that does not depend on the server, made sure of before the first request.
struct Purchase<'a> {
    args: &'a PayArgs,
    call: Call,
    budget: Budget,
    key: Option<BuyerKey>,
    sink: Sink,
    console: Console,
}

async fn buy(args: &PayArgs, report: &mut Report) -> Result<(), PayError> {
    let mut purchase = Purchase {
        args,
        call: Call::new(args)?,
        budget: Budget::new(args)?,
        key: BuyerKey::find(args)?,
        sink: Sink::open(args)?,
        console: Console::new(args),
    };
    let done = purchase.run(report).await;
    if let Some(body) = purchase.sink.take() {
        report.set_body(body);
    }
    done
}

impl Purchase<'_> {
    async fn run(&mut self, report: &mut Report) -> Result<(), PayError> {
        let unpaid = self.ask().await.map_err(PayError::Exchange)?;
        report.status = Some(unpaid.status.as_u16());
        if unpaid.status != StatusCode::PAYMENT_REQUIRED {
            return self.take_for_free(unpaid, report).await;
        }
        let required = match unpaid.terms() {
            Ok(required) => required,
            Err(error) => {
                self.deliver(unpaid, report).await?;
                return Err(PayError::Terms(error));
            }
        };
        let (choice, token) = self.budget.choose(&required)?;
        let terms = TermsView::new(&required, &choice, token);
        self.console.terms(&terms);
        let matching = self.check_resource(&terms);
        report.terms = Some(terms);
        matching?;
        if self.args.dry_run {
            return self.dry_run(&choice, report);
        }
        let Some(key) = &self.key else {
            return Err(PayError::usage(
                "there is no key to pay with",
                "name a file with --key-file, or set OCTROI_BUYER_KEY",
            ));
        };
        let signed = sign(&choice, key)?;
        self.console.paying(key);
        report.payment = Some(PaymentView::new(choice.terms(), &signed));
        self.buy(&signed, report).await
    }

    /// The request without a payment.
    async fn ask(&self) -> Result<Answer, EgressError> {
        Answer::read(self.call.send(None, &self.console).await?).await
    }

    async fn take_for_free(&mut self, answer: Answer, report: &mut Report) -> Result<(), PayError> {
        let status = answer.status;
        let location = answer.headers.get(LOCATION).cloned();
        self.deliver(answer, report).await?;
        if status.is_client_error() || status.is_server_error() {
            return Err(PayError::Status(status));
        }
        report.outcome = Outcome::Free;
        if let (true, Some(location)) = (status.is_redirection(), location) {
            let location = one_line(&String::from_utf8_lossy(location.as_bytes()), 500);
            self.console.remark(&format!(
                "the server redirects to {location}; redirects are not followed, ask for that \
                 address if it is the right one"
            ));
        }
        Ok(())
    }

    fn check_resource(&self, terms: &TermsView) -> Result<(), PayError> {
        let (asked, offered) = (&self.args.url, &terms.resource);
        if resource::is_what_was_asked(asked, self.call.host(), offered) {
            return Ok(());
        }
        let mismatch = PayError::ResourceMismatch {
            offered: one_line(&format!("`{offered}`"), 500),
            asked: asked.to_string(),
        };
        if self.args.allow_resource_mismatch {
            self.console
                .remark(&format!("{mismatch}; paying all the same"));
            return Ok(());
        }
        Err(mismatch)
    }

    /// Shows what would be signed. The signature that it is taken from goes nowhere.
    fn dry_run(&self, choice: &Choice<'_>, report: &mut Report) -> Result<(), PayError> {
        if let Some(key) = &self.key {
            let signed = sign(choice, key)?;
            report.payment = Some(PaymentView::new(choice.terms(), &signed));
        }
        self.console
            .dry_run(&choice.terms().token, report.payment.as_ref());
        report.outcome = Outcome::DryRun;
        Ok(())
    }

    /// Sends the payment, hands out the content and tells what became of the money.
    async fn buy(&mut self, signed: &SignedPayment, report: &mut Report) -> Result<(), PayError> {
        let (answer, verdict) = self.pay(signed, report).await?;
        let status = answer.status;
        report.status = Some(status.as_u16());
        report.receipt = answer.receipt();
        report.refund_credit = answer.refund_credit();
        report.outcome = outcome(&verdict, status, report.receipt.as_ref());
        let is_content = matches!(verdict, Verdict::Served | Verdict::Busy | Verdict::Failed);
        // The receipt is told even if the content broke off.
        let delivered = if is_content {
            self.deliver(answer, report).await
        } else {
            Ok(())
        };
        if self.sink.is_line_open() {
            self.console.end_line();
        }
        match (&report.terms, &report.receipt) {
            (Some(terms), receipt) if is_content => {
                self.console.receipt(terms, receipt.as_ref());
            }
            (_, Some(receipt)) if !receipt.transaction.is_empty() => {
                let hash = one_line(&receipt.transaction, 100);
                self.console.remark(&format!("transaction {hash}"));
            }
            _ => {}
        }
        if let Some(credit) = &report.refund_credit {
            self.console.refund_credit(credit);
        }
        delivered?;
        match verdict {
            Verdict::Served => Ok(()),
            Verdict::Refused(reason) => Err(PayError::Refused { reason }),
            Verdict::Busy | Verdict::Failed => Err(PayError::Status(status)),
            Verdict::Pending => Err(PayError::Pending {
                valid_before: valid_before(signed),
            }),
        }
    }

    /// Sends the one payment until there is an answer to it.
    async fn pay(
        &self,
        signed: &SignedPayment,
        report: &mut Report,
    ) -> Result<(Answer, Verdict), PayError> {
        let mut left = self.args.retries;
        loop {
            let answered = match self.call.send(Some(signed), &self.console).await {
                Ok(response) => {
                    report.set_sent();
                    Answer::read(response).await
                }
                Err(error) => Err(error),
            };
            let answer = match answered {
                Ok(answer) => answer,
                Err(error) => {
                    if error.may_have_been_sent() {
                        report.set_sent();
                    }
                    // Servers close idle connections, and may do it while a request is under way.
                    // The same payment may be sent again on a new one.
                    if error.connection_reused() && error.phase() == Phase::Send && left > 0 {
                        left -= 1;
                        continue;
                    }
                    return Err(lost(error, signed, report));
                }
            };
            let verdict = answer.verdict();
            if left == 0 || !matches!(verdict, Verdict::Pending | Verdict::Busy) {
                return Ok((answer, verdict));
            }
            left -= 1;
            let after = answer.retry_after();
            self.console.waiting(&answer.explanation(), after, left);
            tokio::time::sleep(after).await;
        }
    }

    async fn deliver(&mut self, answer: Answer, report: &mut Report) -> Result<(), PayError> {
        report.output = self
            .args
            .output
            .as_ref()
            .map(|path| path.display().to_string());
        if self.args.include {
            self.sink.write(answer.head().as_bytes())?;
        }
        answer.deliver(&mut self.sink).await
    }
}

fn sign(choice: &Choice<'_>, key: &BuyerKey) -> Result<SignedPayment, PayError> {
    let nonce = B256(random()?);
    // Whoever repeats it may be given the same answer again, so it is as random as a key.
    let identifier = PaymentIdentifier::new(&hex::encode(random::<32>()?)).ok();
    let now = UnixMicros::now().seconds();
    Ok(choice.sign(key.expose(), now, nonce, identifier.as_ref()))
}

fn random<const N: usize>() -> Result<[u8; N], PayError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| PayError::Usage {
        what: "the system gives no random numbers to sign with".to_owned(),
        help: "",
        source: Some(error.into()),
    })?;
    Ok(bytes)
}

/// What a failed exchange means for a payment.
fn lost(source: EgressError, signed: &SignedPayment, report: &Report) -> PayError {
    if report.outcome == Outcome::Unknown {
        let valid_before = valid_before(signed);
        PayError::ExchangePaid {
            source,
            valid_before,
        }
    } else {
        PayError::Exchange(source)
    }
}

/// What is known of the money after an answer to the payment.
fn outcome(verdict: &Verdict, status: StatusCode, receipt: Option<&SettleResponse>) -> Outcome {
    let settled = receipt.map(|receipt| receipt.success);
    match (verdict, settled) {
        (Verdict::Served, _) | (_, Some(true)) => Outcome::Paid,
        (Verdict::Pending, _) => Outcome::Unknown,
        // Somebody used it: a request of ours whose answer was lost, most often.
        (Verdict::Refused(_), _) if status == StatusCode::CONFLICT => Outcome::Unknown,
        (Verdict::Refused(_), _) | (_, Some(false)) => Outcome::NotPaid,
        (Verdict::Busy | Verdict::Failed, None) => Outcome::Unknown,
    }
}
