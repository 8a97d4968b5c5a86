//! Seeing one settlement through, from its signature to its block.

use std::time::Duration;

use octroi_store::{Attempt, Settlement, SettlementState};
use octroi_types::{Address, SettlementId};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::engine::Engine;
use crate::queue::Queued;
use crate::raise::raise_fee;
use crate::resolve::resolve;
use crate::rpc::{BlockTag, RpcError, TransactionReceipt};
use crate::send::{Sent, send_newest};

/// When what did not arrive at a node is sent again.
const RETRY: Duration = Duration::from_millis(400);

/// A durable settlement that is not known to be in a block.
pub(crate) struct InFlight {
    pub(crate) id: SettlementId,
    pub(crate) wallet: Address,
    pub(crate) nonce: u64,
    /// Every signed transaction under this nonce, oldest first.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) queued: Vec<Queued>,
    /// Whether it was never sent, so that there is no use in looking for it first.
    pub(crate) is_new: bool,
}

/// How following ended.
pub(crate) enum Followed {
    /// It is in a block, and the books say what it did; or somebody else sees it through.
    Resolved,
    /// The nonce was used by a transaction that is not ours: these must be sent under another.
    NonceLost(Vec<Queued>),
    /// The gate stops; the next start goes on.
    Stopped,
}

/// Keeps a second task from seeing the same settlement through.
struct Following<'e> {
    engine: &'e Engine,
    id: SettlementId,
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.engine.followed.lock().remove(&self.id);
    }
}

/// Sends a settlement and watches it until it is in a block: sends it again when the node may have
/// lost it, raises the fee when it is stuck, and gives its nonce back to the sequence when all that
/// it carries has expired.
pub(crate) async fn follow(engine: &Engine, mut flight: InFlight) -> Followed {
    if !engine.followed.lock().insert(flight.id) {
        return Followed::Resolved;
    }
    let _following = Following {
        engine,
        id: flight.id,
    };
    let mut pace = Pace::new(engine);
    let mut heads = engine.heads.clone();
    let mut outbid = false;
    let mut must_send = flight.is_new;
    // A stored one may be in a block already: it is looked for first.
    let mut unsent = !flight.is_new;
    let mut seems_lost = false;
    loop {
        if must_send {
            let sent = send_newest(engine, &flight).await;
            outbid = sent == Sent::Underpriced;
            pace.sent(sent);
        }
        match find_receipt(engine, &flight.attempts).await {
            Ok(Some(receipt)) => return resolve(engine, flight, &receipt).await,
            Ok(None) => {}
            Err(error) => debug!(chain = engine.name(), error = %error, "no receipt yet"),
        }
        if std::mem::take(&mut unsent) {
            must_send = true;
            continue;
        }
        tokio::select! {
            () = engine.cancel.cancelled() => return Followed::Stopped,
            () = tokio::time::sleep(pace.next_look()) => {}
            Ok(()) = heads.changed() => {}
        }
        must_send = pace.is_send_due();
        if !must_send {
            continue;
        }
        let seemed_lost = std::mem::take(&mut seems_lost);
        match standing(engine, &mut flight).await {
            Standing::Waits => {}
            Standing::BehindGap => send_predecessors(engine, &flight).await,
            Standing::Elsewhere => return Followed::Resolved,
            // Nodes behind one address may differ for a moment, so this is looked at twice.
            Standing::Lost if seemed_lost => return lost(engine, flight).await,
            Standing::Lost => seems_lost = true,
        }
        if (outbid || pace.is_stuck(engine)) && raise_fee(engine, &mut flight).await {
            pace.bumped(engine);
        }
    }
}

/// When to look, when to send again, and when to raise the fee.
struct Pace {
    look_pause: Duration,
    look_pause_max: Duration,
    send_every: Duration,
    send_due: Instant,
    stuck_after: Duration,
    stuck_after_blocks: u64,
    priced_at: Instant,
    priced_at_block: Option<u64>,
}

impl Pace {
    fn new(engine: &Engine) -> Self {
        let options = &engine.options;
        let block_time = options.block_time;
        let now = Instant::now();
        Self {
            // A node that mines at once has the receipt within milliseconds; doubling spares others.
            look_pause: Duration::from_millis(5),
            look_pause_max: (block_time / 2)
                .clamp(Duration::from_millis(100), Duration::from_secs(2)),
            send_every: block_time * 2,
            send_due: now + block_time * 2,
            // Chains that make blocks only for transactions make none while ours is too cheap.
            stuck_after: block_time * options.bump_after_blocks * 2,
            stuck_after_blocks: u64::from(options.bump_after_blocks),
            priced_at: now,
            priced_at_block: height(engine),
        }
    }

    fn next_look(&mut self) -> Duration {
        let pause = self.look_pause;
        self.look_pause = (self.look_pause * 2).min(self.look_pause_max);
        pause
    }

    /// What did not arrive is repeated soon, what may have arrived not before it had its time.
    fn sent(&mut self, sent: Sent) {
        let wait = match sent {
            Sent::Done => self.send_every,
            Sent::Lost | Sent::Underpriced => self.send_every.min(RETRY),
        };
        self.send_due = Instant::now() + wait;
    }

    fn is_send_due(&self) -> bool {
        Instant::now() >= self.send_due
    }

    fn is_stuck(&mut self, engine: &Engine) -> bool {
        let Some(height) = height(engine) else {
            return false;
        };
        let priced_at_block = *self.priced_at_block.get_or_insert(height);
        height.saturating_sub(priced_at_block) >= self.stuck_after_blocks
            || self.priced_at.elapsed() >= self.stuck_after
    }

    fn bumped(&mut self, engine: &Engine) {
        self.priced_at = Instant::now();
        self.priced_at_block = height(engine);
    }
}

fn height(engine: &Engine) -> Option<u64> {
    engine.heads.borrow().map(|head| head.number)
}

/// The receipt of whichever attempt is in a block.
pub(crate) async fn find_receipt(
    engine: &Engine,
    attempts: &[Attempt],
) -> Result<Option<TransactionReceipt>, RpcError> {
    for attempt in attempts.iter().rev() {
        if let Some(receipt) = engine.rpc.receipt(attempt.tx_hash).await? {
            // A node that answers another question is not believed.
            if receipt.tx_hash == attempt.tx_hash {
                return Ok(Some(receipt));
            }
        }
    }
    Ok(None)
}

/// Where a settlement stands that is not seen in a block.
enum Standing {
    /// Its turn comes.
    Waits,
    /// Transactions before it are missing.
    BehindGap,
    /// Another process has seen it through.
    Elsewhere,
    /// Its nonce was used by somebody else.
    Lost,
}

async fn standing(engine: &Engine, flight: &mut InFlight) -> Standing {
    let counted = engine
        .rpc
        .transaction_count(flight.wallet, BlockTag::Latest)
        .await;
    match counted {
        Err(_) => Standing::Waits,
        Ok(count) if count < flight.nonce => Standing::BehindGap,
        Ok(count) if count == flight.nonce => Standing::Waits,
        Ok(_) => nonce_used(engine, flight).await,
    }
}

/// The nonce is used. By an attempt of ours that came into a block just now, or one that another
/// process signed, or a transaction that we know nothing of.
async fn nonce_used(engine: &Engine, flight: &mut InFlight) -> Standing {
    let Ok(unfinished) = engine
        .store
        .settlements_unfinished(engine.options.chain)
        .await
    else {
        return Standing::Waits;
    };
    let Some(stored) = unfinished.into_iter().find(|stored| stored.id == flight.id) else {
        return Standing::Elsewhere;
    };
    if stored.state != SettlementState::Open {
        return Standing::Elsewhere;
    }
    flight.attempts = stored.attempts;
    match find_receipt(engine, &flight.attempts).await {
        Ok(None) => Standing::Lost,
        Ok(Some(_)) | Err(_) => Standing::Waits,
    }
}

/// Sends what this wallet signed before and is not in a block, whoever follows it: without it, this
/// one never has its turn.
async fn send_predecessors(engine: &Engine, flight: &InFlight) {
    let Ok(unfinished) = engine
        .store
        .settlements_unfinished(engine.options.chain)
        .await
    else {
        return;
    };
    let before = |stored: &&Settlement| {
        stored.wallet == flight.wallet
            && stored.nonce < flight.nonce
            && stored.state == SettlementState::Open
    };
    for stored in unfinished.iter().filter(before) {
        if let Some(attempt) = stored.attempts.last() {
            warn!(
                chain = engine.name(),
                nonce = stored.nonce,
                "sending what stands in the way"
            );
            let sent = engine.rpc.send_raw(attempt.raw_tx.expose()).await;
            debug!(chain = engine.name(), ok = sent.is_ok(), "sent");
        }
    }
}

/// Another transaction used the nonce (somebody else uses the wallet's key): the settlement is
/// closed, and what can still be settled goes under another nonce.
async fn lost(engine: &Engine, flight: InFlight) -> Followed {
    error!(
        chain = engine.name(),
        wallet = %flight.wallet,
        nonce = flight.nonce,
        "a transaction of another program used this wallet's nonce; give the gate wallets of its own"
    );
    let closed = engine
        .insist("a lost settlement", || {
            engine.store.settlements_final(vec![flight.id])
        })
        .await;
    match closed {
        Some(()) => Followed::NonceLost(flight.queued),
        None => Followed::Stopped,
    }
}
