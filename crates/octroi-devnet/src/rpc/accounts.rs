//! Reading the state.

use alloy_primitives::B256;

use crate::chain::Chain;
use crate::node::DevNet;
use crate::overlay::Overlay;
use crate::rpc::params::{BlockId, Params};
use crate::rpc::{Answer, RpcErrorObject, values};

impl DevNet {
    pub(super) fn balance(&self, params: &Params<'_>) -> Answer {
        let (address, id) = (params.address(0)?, params.block(1)?);
        let chain = self.chain.read();
        let state = self.state_of(&chain, id)?;
        Ok(values::quantity(state.basics(address).balance))
    }

    pub(super) fn code(&self, params: &Params<'_>) -> Answer {
        let (address, id) = (params.address(0)?, params.block(1)?);
        let chain = self.chain.read();
        let state = self.state_of(&chain, id)?;
        let code = state.code(state.basics(address).code_hash);
        Ok(values::bytes(code.original_byte_slice()))
    }

    pub(super) fn storage_at(&self, params: &Params<'_>) -> Answer {
        let (address, slot, id) = (params.address(0)?, params.word(1)?, params.block(2)?);
        let chain = self.chain.read();
        let state = self.state_of(&chain, id)?;
        Ok(values::hash(B256::from(state.slot(address, slot))))
    }

    pub(super) fn transaction_count(&self, params: &Params<'_>) -> Answer {
        let (address, id) = (params.address(0)?, params.block(1)?);
        let chain = self.chain.read();
        let nonce = self.state_of(&chain, id)?.basics(address).nonce;
        if id == BlockId::Pending {
            return Ok(values::quantity(
                self.pool.lock().next_nonce(address, nonce),
            ));
        }
        Ok(values::quantity(nonce))
    }

    /// The state that a block left.
    pub(super) fn state_of<'a>(
        &self,
        chain: &'a Chain,
        id: BlockId,
    ) -> Result<Overlay<'a>, RpcErrorObject> {
        let number = id
            .resolve(chain, self.finality)
            .ok_or_else(|| RpcErrorObject::server("header not found"))?;
        chain.state_at(number).ok_or_else(|| {
            RpcErrorObject::server(format!("the state of block {number} is not available"))
        })
    }
}
