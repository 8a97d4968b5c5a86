//! A lane: one wallet, one nonce sequence, one transaction in flight (money rules 15 and 19).

use std::sync::Arc;
use std::time::Duration;

use octroi_claim::ClaimKey;
use octroi_store::SettlementState;
use octroi_types::{Address, Redacted, UnixMicros};
use octroi_x402::Reason;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::abi;
use crate::engine::Engine;
use crate::event::SettlementEvent;
use crate::fees::FeeQuote;
use crate::follow::{Followed, InFlight, follow};
use crate::options::TRANSACTION_GAS;
use crate::outcome::SettleOutcome;
use crate::queue::Queued;
use crate::rebuild::rebuild;
use crate::sequence::{Content, NotOpened, Sequence};
use crate::simulate::simulate;
use crate::status::LaneState;
use crate::uses::may_precede_claim;
use crate::wallet::Wallet;

/// How long a lane rests after something that time may heal.
const REST: Duration = Duration::from_millis(500);
/// How long a wallet's balance is believed, less what was spent since.
const BALANCE_AGE_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Lane {
    engine: Arc<Engine>,
    wallet: Wallet,
    sequence: Sequence,
    /// Native balance in wei, as of when it was asked, less what was offered for gas since.
    balance: Option<(Instant, u128)>,
}

impl Lane {
    pub(crate) fn new(engine: Arc<Engine>, wallet: Wallet) -> Self {
        let sequence = Sequence::new(Arc::clone(&engine), wallet.clone());
        Self {
            engine,
            wallet,
            sequence,
            balance: None,
        }
    }

    /// Finishes what an earlier process left open, then settles what comes until the gate stops.
    pub(crate) async fn run(mut self) {
        self.resume().await;
        self.sequence.tell().await;
        let least_gas = TRANSACTION_GAS.saturating_add(self.engine.options.gas_per_authorization);
        while !self.engine.cancel.is_cancelled() {
            // A wallet that cannot pay leaves the work to those that can.
            let quote = match self.offer(least_gas).await {
                Ok(quote) => quote,
                Err(state) => {
                    self.stand_aside(state).await;
                    continue;
                }
            };
            self.engine
                .lanes
                .set(self.wallet.address(), LaneState::Idle);
            let batch_max = self.batch_max(quote);
            let batch = tokio::select! {
                () = self.engine.cancel.cancelled() => return,
                batch = self.engine.queue.next(batch_max) => batch,
            };
            self.engine
                .lanes
                .set(self.wallet.address(), LaneState::Busy);
            self.settle(batch).await;
        }
    }

    async fn resume(&mut self) {
        let engine = Arc::clone(&self.engine);
        let wallet = self.wallet.address();
        let read = || engine.store.settlements_unfinished(engine.options.chain);
        let unfinished = engine
            .insist("unfinished settlements", read)
            .await
            .unwrap_or_default();
        for settlement in unfinished {
            if settlement.wallet != wallet || settlement.state != SettlementState::Open {
                continue;
            }
            info!(
                chain = engine.name(),
                nonce = settlement.nonce,
                "resuming a settlement"
            );
            if let Some(flight) = rebuild(&engine, settlement).await {
                self.see_through(flight).await;
            }
        }
    }

    async fn see_through(&mut self, flight: InFlight) {
        if let Followed::NonceLost(queued) = follow(&self.engine, flight).await {
            self.sequence.recount();
            self.engine.send_again(queued).await;
        }
    }

    /// What to offer for gas, if the chain can be asked, the price is within the cap and the wallet
    /// can pay it; else what stands in the way.
    async fn offer(&mut self, gas_limit: u64) -> Result<FeeQuote, LaneState> {
        let engine = &self.engine;
        let head = (*engine.heads.borrow()).ok_or(LaneState::NodeDown)?;
        let quote = engine
            .tips
            .quote(&engine.options, &engine.rpc, head)
            .await
            .map_err(|_| LaneState::NodeDown)?
            .map_err(|_| LaneState::GasTooDear)?;
        let needed = quote.cost_max(gas_limit);
        let known = self
            .balance
            .filter(|(asked, balance)| asked.elapsed() < BALANCE_AGE_MAX && *balance >= needed);
        if known.is_none() {
            let address = self.wallet.address();
            let balance = engine
                .rpc
                .balance(address)
                .await
                .map_err(|_| LaneState::NodeDown)?;
            self.balance = Some((Instant::now(), balance));
            engine.lanes.set_balance(address, balance);
            if balance < needed {
                return Err(LaneState::OutOfGas);
            }
        }
        Ok(quote)
    }

    /// As many as the wallet can pay for.
    fn batch_max(&self, quote: FeeQuote) -> usize {
        let options = &self.engine.options;
        if !self.engine.has_multicall() {
            return 1;
        }
        let balance = self.balance.map_or(0, |(_, balance)| balance);
        let gas = balance / u128::from(quote.max_fee_per_gas.max(1));
        let for_calls = gas.saturating_sub(u128::from(TRANSACTION_GAS));
        let payable = for_calls / u128::from(options.gas_per_authorization.max(1));
        usize::try_from(payable)
            .unwrap_or(usize::MAX)
            .clamp(1, options.batch_max.max(1))
    }

    /// Says what stands in the way, once, and rests. When no lane can work, nobody waits in vain.
    async fn stand_aside(&self, state: LaneState) {
        let engine = &self.engine;
        if engine.lanes.set(self.wallet.address(), state) {
            error!(
                chain = engine.name(),
                wallet = %self.wallet.address(),
                state = state.as_str(),
                balance_wei = self.balance.map(|(_, balance)| balance),
                cap_wei_per_gas = engine.options.max_fee_per_gas,
                "a settlement wallet cannot settle"
            );
        }
        if !engine.lanes.is_any_able() {
            engine
                .not_sent(engine.queue.drain(), || SettleOutcome::Unavailable)
                .await;
        }
        engine.pause(REST).await;
    }

    /// Settles one batch: check the windows, try it, make it durable, send it, see it through.
    async fn settle(&mut self, batch: Vec<Queued>) {
        let mut batch = self.drop_late(batch).await;
        self.forget_done_deployments(&mut batch).await;
        let batch = self.try_out(batch).await;
        let batch = self.deploy(batch).await;
        if batch.is_empty() {
            return;
        }
        let content = self.content(&batch);
        let Ok(fees) = self.offer(content.gas_limit).await else {
            return self.unavailable(batch).await;
        };
        if let Some(flight) = self.open(batch, fees).await {
            self.see_through(flight).await;
        }
    }

    /// Refuses what could expire before it is in a block, by our clock or the chain's.
    async fn drop_late(&self, batch: Vec<Queued>) -> Vec<Queued> {
        let engine = &self.engine;
        let now = UnixMicros::now();
        let chain_time = engine
            .heads
            .borrow()
            .map(|head| head.timestamp)
            .unwrap_or_default();
        let ends = now
            .seconds()
            .max(chain_time)
            .plus(engine.options.send_margin.as_secs());
        let (late, good): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|queued| queued.call.transfer.valid_before <= ends);
        engine
            .refuse(
                late.into_iter()
                    .map(|queued| (queued, Reason::ValidBefore))
                    .collect(),
            )
            .await;
        good
    }

    /// A wallet may have been deployed since its payer was checked.
    async fn forget_done_deployments(&self, batch: &mut [Queued]) {
        for queued in batch {
            let payer = queued.call.transfer.from;
            if queued.call.deployment.is_some() && self.has_code(payer).await {
                queued.call.deployment = None;
            }
        }
    }

    async fn has_code(&self, account: Address) -> bool {
        self.engine
            .rpc
            .code(account)
            .await
            .is_ok_and(|code| !code.is_empty())
    }

    /// Simulates, and refuses what the chain would refuse.
    async fn try_out(&self, batch: Vec<Queued>) -> Vec<Queued> {
        let options = &self.engine.options;
        let is_wanted = match batch.as_slice() {
            [] => return batch,
            // Nobody's wallet is deployed for a payment that would fail.
            [only] => options.simulate_single || only.call.deployment.is_some(),
            _ => options.simulate,
        };
        if !is_wanted {
            return batch;
        }
        let calls: Vec<_> = batch.iter().map(|queued| &queued.call).collect();
        let reasons = match self
            .engine
            .patiently(|| simulate(&self.engine, &calls))
            .await
        {
            Ok(reasons) => reasons,
            Err(error) => {
                warn!(chain = self.engine.name(), error = %error, "cannot simulate");
                self.unavailable(batch).await;
                return Vec::new();
            }
        };
        let mut good = Vec::with_capacity(batch.len());
        let mut refused = Vec::new();
        for (queued, reason) in batch.into_iter().zip(reasons) {
            match reason {
                None => good.push(queued),
                // Somebody sent the authorization first, after it was claimed here: the payee has
                // the money, and what our own transaction then finds says so (money rule 17).
                Some(Reason::NonceAlreadyUsed) if !self.was_used_before(&queued).await => {
                    good.push(queued);
                }
                Some(reason) => refused.push((queued, reason)),
            }
        }
        self.engine.refuse(refused).await;
        good
    }

    /// Whether the chain shows a use of the authorization that may be older than its claim.
    async fn was_used_before(&self, queued: &Queued) -> bool {
        let transfer = &queued.call.transfer;
        matches!(may_precede_claim(&self.engine, transfer).await, Ok(true))
    }

    /// Deploys the wallet of a payer that has none yet, by an allowed factory, and waits for it.
    /// Such a payer travels alone, so there is one at most.
    async fn deploy(&mut self, batch: Vec<Queued>) -> Vec<Queued> {
        let Some(deployment) = batch
            .iter()
            .find_map(|queued| queued.call.deployment.clone())
        else {
            return batch;
        };
        let content = Content {
            to: deployment.factory,
            data: deployment.calldata,
            gas_limit: TRANSACTION_GAS.saturating_add(self.engine.options.gas_per_deployment),
        };
        let Ok(fees) = self.offer(content.gas_limit).await else {
            self.unavailable(batch).await;
            return Vec::new();
        };
        if let Ok(opened) = self.sequence.open(&content, fees, &[]).await {
            self.spend(fees.cost_max(content.gas_limit));
            self.see_through(opened.with(Vec::new())).await;
        }
        let mut deployed = Vec::with_capacity(batch.len());
        for queued in batch {
            let transfer = &queued.call.transfer;
            if self.has_code(transfer.from).await {
                // The wallet's next signature comes as a deployed wallet's.
                self.engine.payers.forget(transfer.token, transfer.from);
                deployed.push(queued);
            } else {
                self.engine
                    .refuse(vec![(queued, Reason::SmartWalletDeploymentFailed)])
                    .await;
            }
        }
        deployed
    }

    /// These cannot be sent now.
    async fn unavailable(&self, batch: Vec<Queued>) {
        self.engine
            .not_sent(batch, || SettleOutcome::Unavailable)
            .await;
    }

    fn content(&self, batch: &[Queued]) -> Content {
        let options = &self.engine.options;
        let calls: Vec<_> = batch.iter().map(|queued| &queued.call).collect();
        let gas_limit = options.gas_limit(&calls);
        if let [call] = calls.as_slice() {
            let data = Redacted::new(call.data());
            return Content {
                to: call.transfer.token,
                data,
                gas_limit,
            };
        }
        let data: Vec<_> = calls
            .iter()
            .map(|call| (call.transfer.token, call.data()))
            .collect();
        let items = data.iter().map(|(token, data)| (*token, &data[..]));
        let data = Redacted::new(abi::aggregate3(items));
        Content {
            to: options.multicall,
            data,
            gas_limit,
        }
    }

    /// Makes a batch durable, without those whose claims passed to somebody else.
    async fn open(&mut self, mut batch: Vec<Queued>, fees: FeeQuote) -> Option<InFlight> {
        while !batch.is_empty() {
            let content = self.content(&batch);
            match self.sequence.open(&content, fees, &batch).await {
                Ok(opened) => {
                    self.spend(fees.cost_max(content.gas_limit));
                    let payments = batch.len();
                    let opened_now = SettlementEvent::Opened { payments };
                    self.engine.options.on_settlement.tell(opened_now);
                    return Some(opened.with(batch));
                }
                Err(NotOpened::Fenced(fenced)) => batch = drop_fenced(batch, &fenced),
                Err(NotOpened::Unavailable) => {
                    self.unavailable(batch).await;
                    self.engine.pause(REST).await;
                    return None;
                }
                // The next start finds out what the store has.
                Err(NotOpened::Stopped) => return None,
            }
        }
        None
    }

    fn spend(&mut self, wei: u128) {
        if let Some((_, balance)) = &mut self.balance {
            *balance = balance.saturating_sub(wei);
        }
    }
}

/// Without those whose claims passed to somebody else, who are told.
fn drop_fenced(batch: Vec<Queued>, fenced: &[ClaimKey]) -> Vec<Queued> {
    let (gone, kept): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .partition(|queued| fenced.contains(&queued.call.transfer.claim));
    for mut queued in gone {
        queued.answer(SettleOutcome::Fenced);
    }
    kept
}
