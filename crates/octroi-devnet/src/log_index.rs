//! Which blocks hold a log with this address or topic.

use std::collections::VecDeque;

use alloy_primitives::map::B256Map;
use alloy_primitives::{Address, B256, Log};

/// Maps every address and topic to the numbers of the blocks that mention it, in order. A topic
/// is listed whatever its position, so a block found here still has to be looked through.
#[derive(Debug, Default)]
pub(crate) struct LogIndex {
    blocks: B256Map<VecDeque<u64>>,
}

impl LogIndex {
    /// Adds the newest block.
    pub(crate) fn add<'a>(&mut self, number: u64, logs: impl Iterator<Item = &'a Log>) {
        for word in logs.flat_map(words) {
            let blocks = self.blocks.entry(word).or_default();
            if blocks.back() != Some(&number) {
                blocks.push_back(number);
            }
        }
    }

    /// Removes the oldest or the newest block.
    pub(crate) fn remove<'a>(&mut self, number: u64, logs: impl Iterator<Item = &'a Log>) {
        for word in logs.flat_map(words) {
            let Some(blocks) = self.blocks.get_mut(&word) else {
                continue;
            };
            if blocks.front() == Some(&number) {
                blocks.pop_front();
            } else if blocks.back() == Some(&number) {
                blocks.pop_back();
            }
            if blocks.is_empty() {
                self.blocks.remove(&word);
            }
        }
    }

    /// The blocks that mention any of the words, in order, without duplicates.
    pub(crate) fn mentioning(&self, words: &[B256]) -> Vec<u64> {
        let lists = words.iter().filter_map(|word| self.blocks.get(word));
        let mut numbers: Vec<u64> = lists.flatten().copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// About how many blocks [`Self::mentioning`] would answer with, for free.
    pub(crate) fn weight(&self, words: &[B256]) -> usize {
        let lists = words.iter().filter_map(|word| self.blocks.get(word));
        lists.map(VecDeque::len).sum()
    }
}

/// An address as it is indexed.
pub(crate) fn address_word(address: Address) -> B256 {
    address.into_word()
}

fn words(log: &Log) -> impl Iterator<Item = B256> {
    log.topics()
        .iter()
        .copied()
        .chain(std::iter::once(address_word(log.address)))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn log(topics: &[u8]) -> Log {
        let topics = topics.iter().map(|topic| B256::with_last_byte(*topic));
        Log::new_unchecked(Address::ZERO, topics.collect(), Default::default())
    }

    proptest! {
        #[test]
        fn it_points_to_the_blocks_that_a_scan_finds(
            steps in prop::collection::vec(
                (0..4_u8, prop::collection::vec(prop::collection::vec(0..5_u8, 0..4), 0..4)),
                0..40,
            ),
            wanted in prop::collection::vec(0..6_u8, 1..3),
        ) {
            let mut index = LogIndex::default();
            let mut blocks: VecDeque<(u64, Vec<Log>)> = VecDeque::new();
            let mut next = 0;
            for (step, topics) in steps {
                let gone = match step {
                    0 => blocks.pop_front(),
                    1 => blocks.pop_back(),
                    _ => {
                        let logs: Vec<_> = topics.iter().map(|topics| log(topics)).collect();
                        index.add(next, logs.iter());
                        blocks.push_back((next, logs));
                        next += 1;
                        None
                    }
                };
                if let Some((number, logs)) = gone {
                    index.remove(number, logs.iter());
                }
            }
            let wanted: Vec<_> = wanted.into_iter().map(|t| B256::with_last_byte(t + 1)).collect();
            let scan: Vec<_> = blocks
                .iter()
                .filter(|(_, logs)| {
                    let mut topics = logs.iter().flat_map(|log| log.topics());
                    topics.any(|topic| wanted.contains(topic))
                })
                .map(|(number, _)| *number)
                .collect();
            prop_assert_eq!(index.mentioning(&wanted), scan);
            let with_logs = blocks.iter().filter(|(_, logs)| !logs.is_empty());
            let with_logs: Vec<_> = with_logs.map(|(number, _)| *number).collect();
            prop_assert_eq!(index.mentioning(&[address_word(Address::ZERO)]), with_logs);
        }
    }
}
