//! What one paywall sells, and how it is paid.

use std::sync::Arc;
use std::time::Duration;

use octroi_chain::Level;
use octroi_claim::SettleOrder;
use octroi_types::{Mode, PaywallId, ServiceId, TenantId};
use octroi_x402::Offer;

/// What is charged when an answer breaks off after its first byte (money rule 22). Under scheme
/// `exact` the whole price is settled; the difference to what is charged becomes a refund credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BreakRule {
    /// The whole price: the buyer keeps what arrived.
    #[default]
    ChargeFull,
    /// Nothing: the whole price becomes a refund credit.
    Credit,
}

/// One paywall's side of every payment.
#[derive(Debug, Clone)]
pub struct Deal {
    /// The seller.
    pub tenant: TenantId,
    /// Play or real money.
    pub mode: Mode,
    /// The paywall.
    pub paywall: PaywallId,
    /// Its service; none for a site.
    pub service: Option<ServiceId>,
    /// The acceptable ways to pay.
    pub offer: Arc<Offer>,
    /// When the payment is settled.
    pub order: SettleOrder,
    /// How sure the settlement must be before the answer's head goes out.
    pub level: Level,
    /// What is charged for an answer that breaks off.
    pub break_rule: BreakRule,
    /// How long the origin may take to its response head; part of the least validity that a
    /// payment needs (money rule 13).
    pub origin_timeout: Duration,
}
