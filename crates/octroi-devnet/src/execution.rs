//! Running transactions.

use std::sync::Arc;

use alloy_consensus::{Header, Transaction as _};
use alloy_primitives::map::AddressSet;
use alloy_primitives::{Address, B256, U256};
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction};
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::context_interface::cfg::gas::calculate_initial_tx_gas_for_tx;
use revm::primitives::eip3860::MAX_INITCODE_SIZE;
use revm::primitives::hardfork::SpecId;
use revm::{Context, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext};

use crate::block::{Block, Mined, logs_bloom, receipts_root, transactions_root};
use crate::chain::{Chain, NextBlock, Rules};
use crate::overlay::Overlay;
use crate::pool::PoolError;
use crate::transaction::Transaction;

/// The rules of the EVM that contracts find.
const HARDFORK: SpecId = SpecId::PRAGUE;

/// A block that was made, and what could not go into it.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) block: Block,
    /// Transactions that can never run as the state is now.
    pub(crate) rejected: Vec<B256>,
}

/// Checks what can be checked of a transaction without a state.
pub(crate) fn check(transaction: &Transaction, rules: &Rules) -> Result<(), PoolError> {
    let envelope = &transaction.envelope;
    if envelope.gas_limit() > rules.block_gas_limit {
        return Err(PoolError::ExceedsBlockGasLimit);
    }
    let (tip, cap) = (envelope.priority_fee_or_price(), envelope.max_fee_per_gas());
    if tip > cap {
        return Err(PoolError::TipAboveFeeCap { tip, cap });
    }
    let size = envelope.input().len();
    if envelope.is_create() && size > MAX_INITCODE_SIZE {
        return Err(PoolError::InitCodeTooLarge {
            size,
            limit: MAX_INITCODE_SIZE,
        });
    }
    let gas = calculate_initial_tx_gas_for_tx(transaction.environment(), HARDFORK, None);
    let want = gas.initial_total_gas().max(gas.floor_gas());
    if envelope.gas_limit() < want {
        return Err(PoolError::IntrinsicGas {
            have: envelope.gas_limit(),
            want,
        });
    }
    Ok(())
}

/// Makes a block of as many of the transactions as fit.
pub(crate) fn build_block(
    chain: &Chain,
    rules: &Rules,
    next: NextBlock,
    transactions: &[Arc<Transaction>],
) -> Built {
    let mut overlay = Overlay::new(chain);
    let environment = next.environment(rules);
    let configuration = configuration(rules);
    let mut evm = Context::mainnet()
        .with_db(&mut overlay)
        .with_block(environment)
        .with_cfg(configuration)
        .build_mainnet();
    let mut mined = Vec::with_capacity(transactions.len());
    let mut gas_used = 0_u64;
    let mut rejected = Vec::new();
    let mut passed_over = AddressSet::default();
    for transaction in transactions {
        // The transactions of one sender run in order or not at all.
        if passed_over.contains(&transaction.sender) {
            continue;
        }
        let room = rules.block_gas_limit - gas_used;
        if transaction.envelope.gas_limit() > room {
            passed_over.insert(transaction.sender);
            continue;
        }
        match evm.transact_commit(transaction.environment()) {
            Ok(result) => {
                gas_used += result.tx_gas_used();
                mined.push(Mined {
                    hash: transaction.hash,
                    sender: transaction.sender,
                    raw: transaction.raw.clone(),
                    succeeded: result.is_success(),
                    gas_used: result.tx_gas_used(),
                    // What a failed transaction logged did not happen.
                    logs: if result.is_success() {
                        result.into_logs()
                    } else {
                        Vec::new()
                    },
                });
            }
            Err(_) => {
                passed_over.insert(transaction.sender);
                rejected.push(transaction.hash);
            }
        }
    }
    drop(evm);
    let header = Header {
        parent_hash: next.parent,
        transactions_root: transactions_root(&mined),
        receipts_root: receipts_root(&mined),
        logs_bloom: logs_bloom(&mined),
        number: next.number,
        gas_limit: rules.block_gas_limit,
        gas_used,
        timestamp: next.timestamp,
        extra_data: next.extra_data,
        mix_hash: next.parent,
        base_fee_per_gas: Some(next.base_fee),
        state_root: B256::ZERO,
        ..Header::default()
    };
    Built {
        block: Block {
            header,
            transactions: mined,
            change: overlay.into_change(),
        },
        rejected,
    }
}

/// Runs a call that is never committed. The sender may be anyone (also a contract), at any nonce.
///
/// # Errors
/// What makes it no transaction at all: too little gas to start, or less coin than it sends.
pub(crate) fn call(
    overlay: &mut Overlay<'_>,
    rules: &Rules,
    block: BlockEnv,
    transaction: TxEnv,
) -> Result<ExecutionResult, InvalidTransaction> {
    let mut configuration = configuration(rules);
    configuration.disable_nonce_check = true;
    configuration.disable_eip3607 = true;
    configuration.disable_base_fee = true;
    let mut evm = Context::mainnet()
        .with_db(overlay)
        .with_block(block)
        .with_cfg(configuration)
        .build_mainnet();
    match evm.transact(transaction) {
        Ok(outcome) => Ok(outcome.result),
        Err(EVMError::Transaction(error)) => Err(error),
        Err(EVMError::Database(never)) => match never {},
        // The header is ours and no code here raises its own errors.
        Err(EVMError::Header(_) | EVMError::Custom(_) | EVMError::CustomAny(_)) => {
            Err(InvalidTransaction::Str("the call could not be run".into()))
        }
    }
}

fn configuration(rules: &Rules) -> CfgEnv {
    CfgEnv::new_with_spec(HARDFORK).with_chain_id(rules.chain_id)
}

impl NextBlock {
    /// The block as the EVM sees it.
    pub(crate) fn environment(&self, rules: &Rules) -> BlockEnv {
        BlockEnv {
            number: U256::from(self.number),
            beneficiary: Address::ZERO,
            timestamp: U256::from(self.timestamp),
            gas_limit: rules.block_gas_limit,
            basefee: self.base_fee,
            prevrandao: Some(self.parent),
            ..BlockEnv::default()
        }
    }
}

/// A block that exists, as the EVM saw it.
pub(crate) fn environment_of(header: &Header) -> BlockEnv {
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        prevrandao: Some(header.mix_hash),
        ..BlockEnv::default()
    }
}
