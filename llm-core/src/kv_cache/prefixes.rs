//! Tracks which cache blocks hold the keys and values of which tokens, so that a session can reuse them.
//!
//! A block whose sixteen positions are all computed is *known* by what determines its contents: its tokens, the
//! adapter, and the blocks before it. The owner is part of the key as well, although it affects no bit: what one owner
//! asked must not make another's request faster. Known blocks form a forest. Roots are first blocks of sessions; the
//! children of a block are the blocks that have followed it in some session. So each block is in one list, and a search
//! compares each block of the cache at most twice. It compares owners before tokens, so its duration does not reveal
//! other owners' tokens.
//!
//! Blocks are reference-counted by session. A known block without references is *retained*: it keeps its contents until
//! its room is needed, and the first one given up is the first to be reused. A session refers to a block only with all
//! blocks before it, and gives up the last one first. So a block is never retained longer than its predecessor, and
//! none is left without its parent.

use super::BLOCK_POSITIONS;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// No block; no block has this number.
pub(super) const NONE: u16 = u16::MAX;

/// Owner and adapter of a session's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The owner: only its sessions may share blocks.
    pub owner: u32,
    /// The adapter, if any.
    pub adapter: Option<u8>,
}

impl Origin {
    /// The adapter in the form that a block stores.
    fn adapter(self) -> u16 {
        self.adapter.map_or(NONE, u16::from)
    }
}

/// State of a block.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Block {
    /// The tokens of its positions, if it is known.
    tokens: [u32; BLOCK_POSITIONS],
    owner: u32,
    /// Whether it is in the forest: 1 or 0.
    known: u32,
    adapter: u16,
    /// Number of sessions that refer to it.
    references: u16,
    /// Its predecessor.
    parent: u16,
    /// The first of its successors.
    child: u16,
    /// Siblings: other successors of the same block.
    previous: u16,
    next: u16,
    /// Retained blocks given up before and after it.
    older: u16,
    newer: u16,
}

impl Block {
    const UNKNOWN: Self = Self {
        tokens: [0; BLOCK_POSITIONS],
        owner: 0,
        known: 0,
        adapter: NONE,
        references: 0,
        parent: NONE,
        child: NONE,
        previous: NONE,
        next: NONE,
        older: NONE,
        newer: NONE,
    };

    /// Whether only the one session that refers to it reads it.
    pub(super) fn is_private(&self) -> bool {
        self.known == 0 && self.references == 1
    }
}

/// Ends of the lists of blocks.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Lists {
    /// The first root.
    roots: u16,
    /// The retained block to reuse first, and the last.
    oldest: u16,
    newest: u16,
    /// Number of retained blocks.
    retained: u16,
}

impl Lists {
    /// Number of retained blocks.
    pub(super) fn retained(&self) -> usize {
        usize::from(self.retained)
    }
}

/// The pool's blocks, apart from their contents.
pub(super) struct Blocks<'a> {
    /// One entry per block of the pool.
    pub(super) blocks: &'a mut [Block],
    pub(super) lists: &'a mut Lists,
    /// The number of blank blocks, then the blocks: the last one is taken first.
    pub(super) blank: &'a mut [u16],
}

impl Blocks<'_> {
    /// Makes all blocks blank; the lowest is taken first.
    pub(super) fn clear(&mut self) {
        self.blocks.fill(Block::UNKNOWN);
        *self.lists = Lists {
            roots: NONE,
            oldest: NONE,
            newest: NONE,
            retained: 0,
        };
        if let Some((count, blank)) = self.blank.split_first_mut() {
            *count = blank.len() as u16;
            for (block, number) in blank.iter_mut().rev().zip(0..) {
                *block = number;
            }
        }
    }

    fn of(&self, block: u16) -> &Block {
        &self.blocks[usize::from(block)]
    }

    fn of_mut(&mut self, block: u16) -> &mut Block {
        &mut self.blocks[usize::from(block)]
    }

    /// Number of blocks that [`Self::take`] can give.
    pub(super) fn available(&self) -> usize {
        usize::from(self.blank[0]) + self.lists.retained()
    }

    /// Takes a block whose contents are not needed and refers to it once: a blank one, otherwise the one retained
    /// longest.
    pub(super) fn take(&mut self) -> Option<u16> {
        let block = match self.blank[0] {
            0 => {
                let oldest = self.lists.oldest;
                if oldest == NONE {
                    return None;
                }
                self.unlist(oldest);
                self.forget(oldest);
                oldest
            }
            count => {
                self.blank[0] = count - 1;
                self.blank[usize::from(count)]
            }
        };
        self.of_mut(block).references = 1;
        Some(block)
    }

    /// Adds a session's reference to a known block.
    pub(super) fn refer(&mut self, block: u16) {
        if self.of(block).references == 0 {
            self.unlist(block);
        }
        self.of_mut(block).references += 1;
    }

    /// Removes a session's reference. A known block without references is retained; an unknown one becomes blank.
    pub(super) fn give_up(&mut self, block: u16) {
        self.of_mut(block).references -= 1;
        if self.of(block).references > 0 {
            return;
        }
        match self.is_known(block) {
            true => self.retain(block),
            false => self.push_blank(block),
        }
    }

    /// Makes all retained blocks blank.
    pub(super) fn forget_retained(&mut self) {
        while self.lists.oldest != NONE {
            let oldest = self.lists.oldest;
            self.unlist(oldest);
            self.forget(oldest);
            self.push_blank(oldest);
        }
    }

    pub(super) fn is_known(&self, block: u16) -> bool {
        self.of(block).known != 0
    }

    /// The known block with these tokens after `parent`.
    pub(super) fn find(&self, parent: u16, origin: Origin, tokens: &[u32]) -> Option<u16> {
        self.behind(parent, origin)
            .find(|&block| self.of(block).tokens == *tokens)
    }

    /// Of the known blocks after `parent`, the one that begins with the most of these tokens, and their number; at
    /// least one.
    pub(super) fn find_longest(
        &self,
        parent: u16,
        origin: Origin,
        tokens: &[u32],
    ) -> Option<(u16, usize)> {
        let alike = |block: u16| {
            let tokens = self.of(block).tokens.iter().zip(tokens);
            tokens.take_while(|(its, token)| its == token).count()
        };
        self.behind(parent, origin)
            .map(|block| (block, alike(block)))
            .max_by_key(|&(_, alike)| alike)
            .filter(|&(_, alike)| alike > 0)
    }

    /// The known blocks of this origin after `parent`.
    fn behind(&self, parent: u16, origin: Origin) -> impl Iterator<Item = u16> {
        let first = match parent {
            NONE => self.lists.roots,
            parent => self.of(parent).child,
        };
        let block = |block: u16| (block != NONE).then_some(block);
        let next = move |&known: &u16| block(self.of(known).next);
        core::iter::successors(block(first), next).filter(move |&known| {
            let known = self.of(known);
            known.owner == origin.owner && known.adapter == origin.adapter()
        })
    }

    /// Makes a block known: it holds these tokens after `parent`. It must have a reference.
    pub(super) fn learn(&mut self, block: u16, parent: u16, origin: Origin, tokens: &[u32]) {
        let first = match parent {
            NONE => core::mem::replace(&mut self.lists.roots, block),
            parent => core::mem::replace(&mut self.of_mut(parent).child, block),
        };
        if first != NONE {
            self.of_mut(first).previous = block;
        }
        let known = self.of_mut(block);
        known.tokens.copy_from_slice(tokens);
        known.owner = origin.owner;
        known.adapter = origin.adapter();
        known.known = 1;
        (known.parent, known.previous, known.next) = (parent, NONE, first);
    }

    /// Removes a block without references from the forest.
    fn forget(&mut self, block: u16) {
        let Block {
            parent,
            previous,
            next,
            child,
            ..
        } = *self.of(block);
        debug_assert_eq!(child, NONE, "a block goes after those behind it");
        match (previous, parent) {
            (NONE, NONE) => self.lists.roots = next,
            (NONE, parent) => self.of_mut(parent).child = next,
            (previous, _) => self.of_mut(previous).next = next,
        }
        if next != NONE {
            self.of_mut(next).previous = previous;
        }
        *self.of_mut(block) = Block::UNKNOWN;
    }

    fn push_blank(&mut self, block: u16) {
        self.blank[0] += 1;
        let last = usize::from(self.blank[0]);
        self.blank[last] = block;
    }

    /// Appends a block to the retained ones.
    fn retain(&mut self, block: u16) {
        let before = core::mem::replace(&mut self.lists.newest, block);
        match before {
            NONE => self.lists.oldest = block,
            before => self.of_mut(before).newer = block,
        }
        let retained = self.of_mut(block);
        (retained.older, retained.newer) = (before, NONE);
        self.lists.retained += 1;
    }

    /// Removes a block from the retained ones.
    fn unlist(&mut self, block: u16) {
        let Block { older, newer, .. } = *self.of(block);
        match older {
            NONE => self.lists.oldest = newer,
            older => self.of_mut(older).newer = newer,
        }
        match newer {
            NONE => self.lists.newest = older,
            newer => self.of_mut(newer).older = older,
        }
        let block = self.of_mut(block);
        (block.older, block.newer) = (NONE, NONE);
        self.lists.retained -= 1;
    }
}

/// State for tests.
#[cfg(test)]
pub(crate) mod audit {
    use super::*;
    use std::collections::HashSet;
    use std::vec;
    use std::vec::Vec;

    /// A known block.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub(crate) struct Known {
        pub(crate) block: u16,
        pub(crate) owner: u32,
        pub(crate) adapter: Option<u8>,
        pub(crate) references: u16,
        /// All tokens from the session's first to the block's last.
        pub(crate) tokens: Vec<u32>,
    }

    impl Blocks<'_> {
        /// Checks that each block is in as many tables as it says, and either in one of the lists or in a table; that
        /// the forest is well-formed; and that no block is retained longer than its predecessor. Returns the known
        /// blocks.
        ///
        /// # Panics
        /// An invariant is violated.
        pub(crate) fn check(&self, tables: &[Vec<u16>]) -> Vec<Known> {
            let all = self.blocks.len();
            let mut references = vec![0; all];
            for table in tables {
                let distinct: HashSet<&u16> = table.iter().collect();
                assert_eq!(distinct.len(), table.len(), "a block twice in a table");
                for &block in table {
                    references[usize::from(block)] += 1;
                }
                let known = table.iter().take_while(|&&block| self.is_known(block));
                let known = known.count();
                assert!(!table[known..].iter().any(|&block| self.is_known(block)));
                let mut parent = NONE;
                for &block in &table[..known] {
                    assert_eq!(self.of(block).parent, parent, "a table follows the forest");
                    parent = block;
                }
                for &block in &table[known..] {
                    assert_eq!(references[usize::from(block)], 1);
                }
            }
            let counted: Vec<u16> = self.blocks.iter().map(|block| block.references).collect();
            assert_eq!(counted, references);

            let blank = &self.blank[1..=usize::from(self.blank[0])];
            let mut seen: HashSet<u16> = blank.iter().copied().collect();
            assert_eq!(seen.len(), blank.len(), "a block is blank twice");
            for &block in blank {
                assert!(!self.is_known(block) && references[usize::from(block)] == 0);
            }
            let mut order = vec![None; all];
            let (mut block, mut older) = (self.lists.oldest, NONE);
            while block != NONE {
                assert!(seen.insert(block), "a retained block is in two lists");
                assert!(self.is_known(block) && references[usize::from(block)] == 0);
                assert_eq!(self.of(block).older, older);
                order[usize::from(block)] = Some(seen.len());
                (older, block) = (block, self.of(block).newer);
            }
            assert_eq!(self.lists.newest, older);
            assert_eq!(seen.len() - blank.len(), self.lists.retained());
            let held = references.iter().filter(|&&count| count > 0).count();
            assert_eq!(seen.len() + held, all, "no block is lost");

            let mut known = Vec::new();
            let mut below = vec![(self.lists.roots, NONE, Vec::new())];
            while let Some((first, parent, tokens)) = below.pop() {
                let (mut block, mut previous) = (first, NONE);
                while block != NONE {
                    let it = self.of(block);
                    assert!(it.known == 1 && it.parent == parent && it.previous == previous);
                    let mut tokens: Vec<u32> = tokens.clone();
                    tokens.extend(it.tokens);
                    if parent != NONE {
                        let before = self.of(parent);
                        assert!(before.references >= it.references);
                        assert!(before.owner == it.owner && before.adapter == it.adapter);
                        let [mine, its] = [block, parent].map(|n| order[usize::from(n)]);
                        assert!(its.is_none_or(|its| mine.is_some_and(|mine| mine < its)));
                    }
                    known.push(Known {
                        block,
                        owner: it.owner,
                        adapter: (it.adapter != NONE).then_some(it.adapter as u8),
                        references: it.references,
                        tokens: tokens.clone(),
                    });
                    below.push((it.child, block, tokens));
                    (previous, block) = (block, it.next);
                }
            }
            let count = self.blocks.iter().filter(|block| block.known != 0).count();
            assert_eq!(known.len(), count, "a known block is not in the forest");
            let distinct: HashSet<_> = known
                .iter()
                .map(|known| (known.owner, known.adapter, &known.tokens))
                .collect();
            assert_eq!(distinct.len(), known.len(), "two blocks hold the same");
            known
        }
    }
}
