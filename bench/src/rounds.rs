//! Several short rounds, in turns, because a machine that does other work too is fast one second
//! and slow the next: neighbours in time are compared with each other.

use anyhow::Result;

/// What was measured in each round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rounds {
    /// Ours.
    pub ours: Vec<f64>,
    /// The peer's, in the same rounds; empty where there is none.
    pub peer: Vec<f64>,
}

impl Rounds {
    /// Measures both sides in turns, so many times. A first turn of each warms up and does not count.
    ///
    /// # Errors
    /// The first error of a side.
    pub async fn in_turns(
        count: usize,
        mut ours: impl AsyncFnMut() -> Result<f64>,
        mut peer: impl AsyncFnMut() -> Result<f64>,
    ) -> Result<Self> {
        let mut rounds = Self::default();
        for round in 0..=count {
            let (our_value, peer_value) = (ours().await?, peer().await?);
            if round > 0 {
                rounds.ours.push(our_value);
                rounds.peer.push(peer_value);
            }
        }
        Ok(rounds)
    }

    /// As [`Self::in_turns`], for sides that have threads of their own and block.
    ///
    /// # Errors
    /// The first error of a side.
    pub fn in_turns_blocking(
        count: usize,
        mut ours: impl FnMut() -> Result<f64>,
        mut peer: impl FnMut() -> Result<f64>,
    ) -> Result<Self> {
        let mut rounds = Self::default();
        for round in 0..=count {
            let (our_value, peer_value) = (ours()?, peer()?);
            if round > 0 {
                rounds.ours.push(our_value);
                rounds.peer.push(peer_value);
            }
        }
        Ok(rounds)
    }

    /// Measures one side, so many times after a first one that does not count.
    ///
    /// # Errors
    /// The first error.
    pub async fn alone(count: usize, mut ours: impl AsyncFnMut() -> Result<f64>) -> Result<Self> {
        let mut rounds = Self::default();
        for round in 0..=count {
            let value = ours().await?;
            if round > 0 {
                rounds.ours.push(value);
            }
        }
        Ok(rounds)
    }

    /// The median of the rounds' own ratios, ours to the peer's.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let ratios = self
            .ours
            .iter()
            .zip(&self.peer)
            .map(|(ours, peer)| ours / peer);
        median(ratios.collect())
    }

    /// The median of the rounds' own differences, ours less the peer's.
    #[must_use]
    pub fn difference(&self) -> Option<f64> {
        let differences = self
            .ours
            .iter()
            .zip(&self.peer)
            .map(|(ours, peer)| ours - peer);
        median(differences.collect())
    }
}

/// The middle value, or the mean of the two middle ones.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(values[middle - 1], upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![5.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![5.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn neighbours_are_compared() {
        // The machine was ten times slower in the second round; the ratio does not care.
        let rounds = Rounds {
            ours: vec![20.0, 2.0, 20.0],
            peer: vec![10.0, 1.0, 10.0],
        };
        assert_eq!(rounds.ratio(), Some(2.0));
        assert_eq!(rounds.difference(), Some(10.0));
        assert_eq!(
            Rounds {
                peer: vec![],
                ..rounds
            }
            .ratio(),
            None
        );
    }

    #[test]
    fn the_first_turn_of_each_is_thrown_away() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (mut ours, mut peer) = (0.0, 100.0);
        let rounds = runtime.block_on(Rounds::in_turns(
            2,
            async || {
                ours += 1.0;
                Ok(ours)
            },
            async || {
                peer += 1.0;
                Ok(peer)
            },
        ));
        let expected = Rounds {
            ours: vec![2.0, 3.0],
            peer: vec![102.0, 103.0],
        };
        assert_eq!(rounds.unwrap(), expected);
    }
}
