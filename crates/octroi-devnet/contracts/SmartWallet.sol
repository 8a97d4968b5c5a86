// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// A contract account with one owner key, which answers for its signatures (EIP-1271).
contract SmartWallet {
    address public immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (signature.length != 65) return 0xffffffff;
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        address recovered = ecrecover(digest, uint8(signature[64]), r, s);
        return recovered != address(0) && recovered == owner ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// Deploys wallets where they were promised to be, so that a wallet can receive and sign before
/// it exists (ERC-6492).
contract SmartWalletFactory {
    event WalletDeployed(address indexed wallet, address indexed owner);

    /// Deploys the wallet, or finds it deployed.
    function deploy(address owner, bytes32 salt) external returns (address wallet) {
        wallet = walletOf(owner, salt);
        if (wallet.code.length == 0) {
            new SmartWallet{salt: salt}(owner);
            emit WalletDeployed(wallet, owner);
        }
    }

    /// Where the wallet is or would be.
    function walletOf(address owner, bytes32 salt) public view returns (address) {
        bytes32 codeHash = keccak256(abi.encodePacked(type(SmartWallet).creationCode, abi.encode(owner)));
        return address(
            uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, codeHash))))
        );
    }
}
