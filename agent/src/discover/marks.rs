//! One bit per host.

/// Marks on numbered hosts; 8 KiB for a /16.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    words: Vec<u64>,
}

impl Marks {
    /// Room for this many hosts.
    pub(crate) fn new(hosts: u64) -> Self {
        let words = usize::try_from(hosts.div_ceil(64)).unwrap_or(usize::MAX);
        Self {
            words: vec![0; words],
        }
    }

    /// Sets a mark; says whether it is new.
    pub(crate) fn set(&mut self, host: u64) -> bool {
        let (word, bit) = place(host);
        let Some(word) = self.words.get_mut(word) else {
            return false;
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub(crate) fn has(&self, host: u64) -> bool {
        let (word, bit) = place(host);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }
}

fn place(host: u64) -> (usize, u64) {
    (
        usize::try_from(host / 64).unwrap_or(usize::MAX),
        1 << (host % 64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_set_once_and_never_outside() {
        let mut marks = Marks::new(65);
        assert!(marks.set(64) && !marks.set(64) && marks.has(64));
        assert!(!marks.set(128) && !marks.has(128) && !marks.has(63));
    }
}
