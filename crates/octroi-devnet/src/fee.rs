//! The base fee of the next block.

use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};

use crate::block::Block;
use crate::options::BaseFee;

impl BaseFee {
    /// The base fee of the first block, wei.
    pub(crate) fn initial(self) -> u64 {
        match self {
            Self::Constant(wei) | Self::Eip1559(wei) => wei,
        }
    }

    /// The base fee of the block after this one, wei.
    pub(crate) fn after(self, parent: &Block) -> u64 {
        match self {
            Self::Constant(wei) => wei,
            Self::Eip1559(_) => {
                let header = &parent.header;
                calc_next_block_base_fee(
                    header.gas_used,
                    header.gas_limit,
                    header.base_fee_per_gas.unwrap_or_default(),
                    BaseFeeParams::ethereum(),
                )
            }
        }
    }
}
