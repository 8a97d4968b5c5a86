// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsd} from "./TestUsd.sol";

/// Says nothing useful when a nonce is reused: the call succeeds, one event is all that happens.
/// A settlement that trusts the receipt's status counts money that never moved.
contract SilentReuseToken is TestUsd {
    event AuthorizationAlreadyUsed(address indexed authorizer, bytes32 indexed nonce);

    function isReplay(address authorizer, bytes32 nonce) internal override returns (bool) {
        if (!used[authorizer][nonce]) return false;
        emit AuthorizationAlreadyUsed(authorizer, nonce);
        return true;
    }
}

/// Keeps one percent of every transfer for its owner: the payee receives less than was signed.
contract FeeOnTransferToken is TestUsd {
    function move(address from, address to, uint256 value) internal override {
        uint256 fee = value / 100;
        super.move(from, to, value - fee);
        super.move(from, owner, fee);
    }
}

/// Burns all the gas that it is given, as soon as money should move.
contract GasBurnerToken is TestUsd {
    function move(address, address, uint256) internal view override {
        while (gasleft() > 0) {}
    }
}
