//! What a settlement transaction did, read from its logs (money rule 17).

use crate::abi::{AUTHORIZATION_USED, TRANSFER};
use crate::call::Transfer;
use crate::rpc::Log;

/// The index of the `AuthorizationUsed` log that proves a transfer: the right token says that this
/// authorization was used and, before it speaks of another authorization, that exactly the
/// authorized value moved from payer to payee. A token that takes a fee, moves less, or merely
/// claims to have been called proves nothing.
pub(crate) fn proof(logs: &[Log], transfer: &Transfer) -> Option<u64> {
    let mut of_token = logs.iter().filter(|log| log.address == transfer.token);
    loop {
        let used = of_token.find(|log| is_use(log, transfer))?;
        // The transfer may be announced before or after other logs of the token, but it belongs to
        // the same call: nothing of another authorization lies between.
        let mut same_call = of_token
            .clone()
            .take_while(|log| log.topics.first() != Some(&AUTHORIZATION_USED));
        if same_call.any(|log| is_transfer(log, transfer)) {
            return Some(used.log_index);
        }
    }
}

/// Whether the right token says that a transfer's authorization was used, proof or not.
pub(crate) fn mentions(logs: &[Log], transfer: &Transfer) -> bool {
    logs.iter()
        .any(|log| log.address == transfer.token && is_use(log, transfer))
}

fn is_use(log: &Log, transfer: &Transfer) -> bool {
    match log.topics.as_slice() {
        [event, authorizer, nonce] => {
            *event == AUTHORIZATION_USED
                && authorizer.0 == transfer.from.to_word()
                && *nonce == transfer.nonce
        }
        _ => false,
    }
}

fn is_transfer(log: &Log, transfer: &Transfer) -> bool {
    match log.topics.as_slice() {
        [event, from, to] => {
            *event == TRANSFER
                && from.0 == transfer.from.to_word()
                && to.0 == transfer.to.to_word()
                && log.data == transfer.value.to_word()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use octroi_types::{Address, Amount, B256};

    use super::*;
    use crate::call::tests::transfer;

    const TOKEN: Address = Address([1; 20]);

    fn log(address: Address, topics: &[[u8; 32]], value: u64, log_index: u64) -> Log {
        Log {
            address,
            topics: topics.iter().map(|topic| B256(*topic)).collect(),
            data: Amount::new(value).unwrap().to_word().to_vec(),
            log_index,
            tx_hash: B256::ZERO,
            block_number: 1,
            block_hash: B256::ZERO,
        }
    }

    fn used(token: Address, transfer: &Transfer, index: u64) -> Log {
        let topics = [
            AUTHORIZATION_USED.0,
            transfer.from.to_word(),
            transfer.nonce.0,
        ];
        log(token, &topics, 0, index)
    }

    fn moved(token: Address, transfer: &Transfer, value: u64, index: u64) -> Log {
        log(
            token,
            &[TRANSFER.0, transfer.from.to_word(), transfer.to.to_word()],
            value,
            index,
        )
    }

    #[test]
    fn use_and_transfer_of_the_right_token_prove() {
        let (a, b) = (transfer(7), transfer(8));
        let logs = [
            used(TOKEN, &a, 0),
            moved(TOKEN, &a, 100, 1),
            used(TOKEN, &b, 2),
            moved(TOKEN, &b, 100, 3),
        ];
        assert_eq!(proof(&logs, &a), Some(0));
        assert_eq!(proof(&logs, &b), Some(2));
        assert_eq!(proof(&logs, &transfer(9)), None);
    }

    #[test]
    fn nothing_less_does() {
        let a = transfer(7);
        let other = Address([9; 20]);
        for logs in [
            vec![used(TOKEN, &a, 0)],
            vec![moved(TOKEN, &a, 100, 0)],
            vec![used(TOKEN, &a, 0), moved(TOKEN, &a, 99, 1)],
            vec![used(TOKEN, &a, 0), moved(other, &a, 100, 1)],
            vec![used(other, &a, 0), moved(other, &a, 100, 1)],
            vec![moved(TOKEN, &a, 100, 0), used(TOKEN, &a, 1)],
            // The transfer of the next authorization does not prove this one.
            vec![
                used(TOKEN, &a, 0),
                used(TOKEN, &transfer(8), 1),
                moved(TOKEN, &a, 100, 2),
            ],
        ] {
            assert_eq!(proof(&logs, &a), None, "{logs:?}");
        }
    }
}
