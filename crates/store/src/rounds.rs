//! Splitting a batch so that no job occurs twice in one statement, which would change its row only once.

use std::collections::HashMap;
use std::hash::Hash;

/// The positions of the items in rounds: within a round every key is unique, and items of one key keep their order.
/// Nearly always there is a single round.
pub(crate) fn rounds<K: Eq + Hash>(keys: impl IntoIterator<Item = K>) -> Vec<Vec<usize>> {
    let mut seen: HashMap<K, usize> = HashMap::new();
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for (position, key) in keys.into_iter().enumerate() {
        let times = seen.entry(key).or_insert(0);
        if rounds.len() == *times {
            rounds.push(Vec::new());
        }
        rounds[*times].push(position);
        *times += 1;
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::rounds;

    #[test]
    fn a_repeated_key_waits_for_the_next_round() {
        assert_eq!(rounds(["a", "b", "a", "c", "a", "b"]), [vec![0, 1, 3], vec![2, 5], vec![4]]);
    }

    #[test]
    fn distinct_keys_make_one_round_and_none_makes_none() {
        assert_eq!(rounds(["a", "b"]), [vec![0, 1]]);
        assert!(rounds::<u8>([]).is_empty());
    }
}
