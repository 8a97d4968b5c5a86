//! What may be spent, in which tokens and on which networks.

use octroi_types::{Amount, ChainId, Mode, Price};
use octroi_x402::client::{Choice, ChoiceError, Required, SpendingLimit};
use octroi_x402::{SCHEME_EXACT, Version};

use super::args::PayArgs;
use super::error::PayError;
use crate::output::one_line;
use crate::tokens::{self, Token};

/// How many offers an error lists.
const OFFERS_SHOWN_MAX: usize = 8;

const NANO_DECIMALS: u32 = 9;

/// The tokens that may be paid with, the preferred one first, and the limit for each payment.
#[derive(Debug)]
pub(crate) struct Budget {
    tokens: Vec<Token>,
    max: Price,
}

/// What a server offers, in its own words.
struct Offered<'r> {
    scheme: &'r str,
    network: &'r str,
    asset: &'r str,
    amount: &'r str,
    chain: Option<ChainId>,
}

impl Budget {
    pub(crate) fn new(args: &PayArgs) -> Result<Self, PayError> {
        let tokens = if args.networks.is_empty() {
            of_all_networks(args)?
        } else {
            of_named_networks(args)?
        };
        Ok(Self {
            tokens,
            max: args.max,
        })
    }

    /// The best of the offered terms that is within the limits.
    pub(crate) fn choose<'r>(
        &self,
        required: &'r Required,
    ) -> Result<(Choice<'r>, Token), PayError> {
        let limits: Vec<_> = self.tokens.iter().map(|token| self.limit(token)).collect();
        let choice = Choice::pick(required, &limits).map_err(|error| match error {
            ChoiceError::TooExpensive {
                price,
                limit,
                asset,
                chain,
            } => {
                let token = self.token(chain, asset);
                let decimals = token.map_or(0, |token| token.decimals);
                PayError::OverLimit {
                    price: tokens::dollars(price, decimals),
                    limit: tokens::dollars(limit, decimals),
                }
            }
            ChoiceError::NothingAllowed { .. } => PayError::NothingAllowed {
                offers: self.refused_offers(required),
            },
        })?;
        let terms = choice.terms();
        let token = self.token(terms.chain(), terms.asset());
        // The choice was made among the limits, and those are of these tokens.
        let token = token.ok_or(PayError::NothingAllowed { offers: Vec::new() })?;
        Ok((choice, token))
    }

    fn token(&self, chain: ChainId, asset: octroi_types::Address) -> Option<Token> {
        let mut tokens = self.tokens.iter().copied();
        tokens.find(|token| token.chain == chain && token.address == asset)
    }

    fn limit(&self, token: &Token) -> SpendingLimit {
        SpendingLimit {
            chain: token.chain,
            asset: token.address,
            amount_max: limit_units(self.max, token.decimals),
        }
    }

    fn refused_offers(&self, required: &Required) -> Vec<String> {
        let offered = offers(required);
        let mut shown: Vec<_> = offered
            .iter()
            .take(OFFERS_SHOWN_MAX)
            .map(|offer| self.refused_offer(offer))
            .collect();
        if offered.len() > OFFERS_SHOWN_MAX {
            shown.push(format!("and {} more", offered.len() - OFFERS_SHOWN_MAX));
        }
        if shown.is_empty() {
            shown.push("there is none".to_owned());
        }
        shown
    }

    /// An offer, and why it is not taken.
    fn refused_offer(&self, offer: &Offered<'_>) -> String {
        let Offered {
            scheme,
            network,
            asset,
            amount,
            chain,
        } = offer;
        let name = chain.map_or_else(|| (*network).to_owned(), tokens::chain_name);
        let why = match chain {
            _ if *scheme != SCHEME_EXACT => "the scheme is not spoken here".to_owned(),
            None => "the network is not known here".to_owned(),
            Some(chain) if self.tokens.iter().any(|token| token.chain == *chain) => {
                "name the token with --asset".to_owned()
            }
            Some(chain) => match tokens::mode(*chain) {
                Some(Mode::Live) => format!("real money: allow it with --network {name} or --live"),
                Some(Mode::Test) => format!("allow it with --network {name}"),
                None => format!("allow it with --network {name} --asset {asset} --decimals N"),
            },
        };
        one_line(
            &format!("{scheme} {amount} of {asset} on {name} ({why})"),
            300,
        )
    }
}

/// Without a named network: the local one and the test networks, and with `--live` all.
fn of_all_networks(args: &PayArgs) -> Result<Vec<Token>, PayError> {
    let allowed = |token: &Token| match tokens::mode(token.chain) {
        Some(Mode::Test) => true,
        Some(Mode::Live) => args.live,
        None => false,
    };
    let tokens: Vec<_> = tokens::known()
        .filter(allowed)
        .filter(|token| args.asset.is_none_or(|asset| asset == token.address))
        .collect();
    if tokens.is_empty() {
        let what = "--asset is not a known token of the allowed networks";
        return Err(PayError::usage(what, "name its network with --network"));
    }
    check_decimals(args, &tokens)?;
    Ok(tokens)
}

fn of_named_networks(args: &PayArgs) -> Result<Vec<Token>, PayError> {
    let mut tokens = Vec::new();
    for name in &args.networks {
        let chain = tokens::chain_by_name(name).ok_or_else(|| {
            let known: Vec<_> = tokens::known()
                .map(|token| tokens::chain_name(token.chain))
                .collect();
            let (name, known) = (name.escape_debug(), known.join(", "));
            PayError::usage(
                format!("there is no network `{name}`; known are {known}"),
                "any chain can be named by its id, like eip155:8453",
            )
        })?;
        tokens.push(of_network(args, name, chain)?);
    }
    check_decimals(args, &tokens)?;
    Ok(tokens)
}

/// The token to pay with on one network.
fn of_network(args: &PayArgs, name: &str, chain: ChainId) -> Result<Token, PayError> {
    let known = match args.asset {
        Some(address) => tokens::find(chain, address),
        None => tokens::known().find(|token| token.chain == chain),
    };
    match (known, args.asset, args.decimals) {
        (Some(known), _, _) => Ok(known),
        (None, Some(address), Some(decimals)) => Ok(Token {
            chain,
            address,
            symbol: None,
            decimals,
        }),
        (None, _, _) => Err(PayError::usage(
            format!("no dollar token is known on {name}"),
            "name one with --asset and --decimals",
        )),
    }
}

/// A wrong number of decimals would be a wrong limit.
fn check_decimals(args: &PayArgs, tokens: &[Token]) -> Result<(), PayError> {
    let Some(decimals) = args.decimals else {
        return Ok(());
    };
    match tokens.iter().find(|token| token.decimals != decimals) {
        None => Ok(()),
        Some(token) => Err(PayError::usage(
            format!("the token has {} decimals", token.decimals),
            "leave --decimals out for a known token",
        )),
    }
}

/// The limit in the token's smallest unit, rounded down. A limit that no price can reach is the
/// largest amount.
fn limit_units(max: Price, decimals: u8) -> Amount {
    let nano = max.nano_usd();
    let decimals = u32::from(decimals);
    let units = if decimals < NANO_DECIMALS {
        Some(nano / 10_u64.pow(NANO_DECIMALS - decimals))
    } else {
        10_u64
            .checked_pow(decimals - NANO_DECIMALS)
            .and_then(|factor| nano.checked_mul(factor))
    };
    units
        .and_then(|units| Amount::new(units).ok())
        .unwrap_or(Amount::MAX)
}

fn offers(required: &Required) -> Vec<Offered<'_>> {
    match required {
        Required::V1(required) => required
            .accepts
            .iter()
            .map(|offer| Offered {
                scheme: &offer.scheme,
                network: &offer.network,
                asset: &offer.asset,
                amount: &offer.max_amount_required,
                chain: Version::V1.chain(&offer.network),
            })
            .collect(),
        Required::V2(required) => required
            .accepts
            .iter()
            .map(|offer| Offered {
                scheme: &offer.scheme,
                network: &offer.network,
                asset: &offer.asset,
                amount: &offer.amount,
                chain: Version::V2.chain(&offer.network),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use proptest::prelude::*;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::tokens::DEV_NETWORK;

    fn budget(flags: &str) -> Result<Budget, PayError> {
        let line = format!("octroi pay http://127.0.0.1/x {flags}");
        match Cli::try_parse_from(line.split_whitespace())
            .unwrap()
            .command
        {
            Command::Pay(args) => Budget::new(&args),
            _ => unreachable!("the line says pay"),
        }
    }

    fn networks(flags: &str) -> Vec<String> {
        let budget = budget(flags).unwrap();
        let names = budget.tokens.iter();
        names.map(|token| tokens::chain_name(token.chain)).collect()
    }

    #[test]
    fn only_play_money_is_spent_unless_asked_otherwise() {
        let default = networks("");
        assert_eq!(default[0], DEV_NETWORK);
        assert!(default.contains(&"base-sepolia".to_owned()));
        assert!(!default.contains(&"base".to_owned()));
        for token in budget("").unwrap().tokens {
            assert_eq!(tokens::mode(token.chain), Some(Mode::Test));
        }
        assert!(networks("--live").contains(&"base".to_owned()));
        assert_eq!(networks("--network base"), ["base"]);
        let both = networks("--network base-sepolia --network eip155:8453");
        assert_eq!(both, ["base-sepolia", "base"]);
    }

    #[test]
    fn an_unknown_token_needs_network_and_decimals() {
        let other = format!("--asset 0x{}", "ab".repeat(20));
        for (flags, needs) in [
            (other.clone(), "--network"),
            (format!("{other} --network base"), "--decimals"),
            ("--network tempo".to_owned(), "--asset"),
            ("--network eip155:77".to_owned(), "--asset"),
            ("--network nowhere".to_owned(), "eip155:8453"),
        ] {
            match budget(&flags) {
                Err(PayError::Usage { what, help, .. }) => {
                    assert!(help.contains(needs), "{flags}: {what}; {help}");
                }
                other => panic!("{flags}: {other:?}"),
            }
        }
        let named = budget(&format!("{other} --network eip155:77 --decimals 18")).unwrap();
        assert_eq!(named.tokens[0].decimals, 18);
    }

    #[test]
    fn wrong_decimals_of_a_known_token_are_refused() {
        let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
        assert!(budget(&format!("--asset {usdc} --decimals 6")).is_ok());
        assert!(budget(&format!("--asset {usdc} --decimals 4")).is_err());
    }

    proptest! {
        /// What is allowed in units is never worth more than what was allowed in dollars.
        #[test]
        fn limits_are_never_rounded_up(nano in 1..=i64::MAX.cast_unsigned(), decimals in 0_u8..=36) {
            let units = limit_units(Price::from_nano_usd(nano).unwrap(), decimals).units();
            let spent = u128::from(units).checked_mul(1_000_000_000);
            let allowed = 10_u128
                .checked_pow(decimals.into())
                .and_then(|one| one.checked_mul(nano.into()));
            if let (Some(spent), Some(allowed)) = (spent, allowed) {
                prop_assert!(spent <= allowed);
                let one_more = spent + 1_000_000_000;
                prop_assert!(units == Amount::MAX.units() || one_more > allowed);
            }
        }
    }
}
