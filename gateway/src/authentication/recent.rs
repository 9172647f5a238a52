//! Remembering what was found out about recent tokens, in bounded space.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ring::digest::{SHA256, digest};

/// Stands for a token, which is kept nowhere, or for a set of keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Of this text.
    pub(super) fn of(token: impl AsRef<[u8]>) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_ref()).as_ref());
        Digest(bytes)
    }
}

/// Two generations: when the younger one is full it becomes the older one, whose entries are forgotten unless they were
/// asked for meanwhile. So what is in use stays, and nothing has to be sorted.
pub(super) struct Recent<T> {
    generations: Mutex<Generations<T>>,
    of_a_generation: usize,
}

struct Generations<T> {
    younger: HashMap<Digest, T>,
    older: HashMap<Digest, T>,
}

impl<T: Clone> Recent<T> {
    /// Remembers at least so many, and at most twice as many.
    pub(super) fn new(number: usize) -> Recent<T> {
        let generations = Generations { younger: HashMap::new(), older: HashMap::new() };
        Recent { generations: Mutex::new(generations), of_a_generation: number }
    }

    /// What is remembered of this token.
    pub(super) fn get(&self, token: &Digest) -> Option<T> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = generations.younger.get(token) {
            return Some(found.clone());
        }
        let found = generations.older.remove(token)?;
        self.insert(&mut generations, *token, found.clone());
        Some(found)
    }

    /// Remembers it.
    pub(super) fn put(&self, token: Digest, value: T) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.older.remove(&token);
        self.insert(&mut generations, token, value);
    }

    /// Remembers nothing of it any more.
    pub(super) fn forget(&self, token: &Digest) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.younger.remove(token);
        generations.older.remove(token);
    }

    fn insert(&self, generations: &mut Generations<T>, token: Digest, value: T) {
        if generations.younger.len() >= self.of_a_generation && !generations.younger.contains_key(&token) {
            generations.older = std::mem::take(&mut generations.younger);
        }
        generations.younger.insert(token, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(number: usize) -> Digest {
        Digest::of(number.to_string())
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten() {
        let recent = Recent::new(10);
        recent.put(digest_of(0), 0);
        for number in 1..1_000 {
            recent.put(digest_of(number), number);
            assert_eq!(recent.get(&digest_of(0)), Some(0), "after {number}");
        }
        let remembered = (0..1_000).filter(|number| recent.get(&digest_of(*number)).is_some()).count();
        assert!((10..=20).contains(&remembered), "{remembered}");
    }

    #[test]
    fn the_last_value_counts() {
        let recent = Recent::new(10);
        recent.put(digest_of(0), 1);
        recent.put(digest_of(0), 2);
        assert_eq!(recent.get(&digest_of(0)), Some(2));
        recent.forget(&digest_of(0));
        assert_eq!(recent.get(&digest_of(0)), None);
    }
}
