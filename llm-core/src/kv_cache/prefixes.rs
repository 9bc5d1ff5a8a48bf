//! Which blocks of the cache hold the keys and values of which tokens, so that a session takes those that are there
//! already instead of computing them.
//!
//! A block whose sixteen positions have all been computed is *known* by what its content is a function of: its tokens, the
//! adapter, and the blocks before it. The owner belongs to that, too, although no bit depends on it: what one owner asked
//! must not make another's request faster. Known blocks form a forest. The roots are first blocks of sessions, and the
//! children of a block are the blocks that have followed it in some session, so each block stands in one list, and a search
//! compares each block of the cache once at most. It compares owners before tokens, so what another owner's tokens are
//! does not show in the time that it takes.
//!
//! Blocks are counted by the sessions that refer to them. A known block that none refers to is *retained*: it keeps its
//! content until its room is needed, and the one that was given up first goes first. A session refers to a block only with
//! all blocks before it, and gives the last one up first. So a block is never retained for longer than the one before
//! it, and none is left whose parent is gone.

use super::BLOCK_POSITIONS;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// No block: there is none with this number.
pub(super) const NONE: u16 = u16::MAX;

/// Whose tokens a session holds, and what they went through the model with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Who may take the session's blocks: only sessions of the same owner.
    pub owner: u32,
    /// The adapter, if there is one.
    pub adapter: Option<u8>,
}

impl Origin {
    /// As a block has it.
    fn adapter(self) -> u16 {
        self.adapter.map_or(NONE, u16::from)
    }
}

/// What is known of a block.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Block {
    /// The tokens of its positions, if it is known.
    tokens: [u32; BLOCK_POSITIONS],
    owner: u32,
    /// Whether it stands in the forest: 1 or 0.
    known: u32,
    adapter: u16,
    /// How many sessions refer to it.
    references: u16,
    /// The block before it.
    parent: u16,
    /// The first of those behind it.
    child: u16,
    /// Other blocks behind the same one.
    previous: u16,
    next: u16,
    /// Retained blocks that were given up before and after it.
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

    /// Whether nobody reads it but the one session that refers to it.
    pub(super) fn is_private(&self) -> bool {
        self.known == 0 && self.references == 1
    }
}

/// Where the lists of blocks begin and end.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Lists {
    /// The first root.
    roots: u16,
    /// The retained block that goes first, and the one that goes last.
    oldest: u16,
    newest: u16,
    /// How many are retained.
    retained: u16,
}

impl Lists {
    /// How many blocks are retained.
    pub(super) fn retained(&self) -> usize {
        usize::from(self.retained)
    }
}

/// The pool's blocks, as far as their content does not matter.
pub(super) struct Blocks<'a> {
    /// One for each block of the pool.
    pub(super) blocks: &'a mut [Block],
    pub(super) lists: &'a mut Lists,
    /// How many blocks are blank, then which: the last one is taken first.
    pub(super) blank: &'a mut [u16],
}

impl Blocks<'_> {
    /// All blocks are blank; the lowest is taken first.
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

    /// How many blocks [`Self::take`] can give.
    pub(super) fn available(&self) -> usize {
        usize::from(self.blank[0]) + self.lists.retained()
    }

    /// A block whose content nobody needs, with one reference: a blank one, otherwise the one that has been retained for the
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

    /// One more session refers to a known block.
    pub(super) fn refer(&mut self, block: u16) {
        if self.of(block).references == 0 {
            self.unlist(block);
        }
        self.of_mut(block).references += 1;
    }

    /// One session less refers to a block. If it was the last, a known block is retained, another is blank.
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

    /// All retained blocks become blank.
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

    /// The known block with these tokens behind `parent`.
    pub(super) fn find(&self, parent: u16, origin: Origin, tokens: &[u32]) -> Option<u16> {
        let mut block = match parent {
            NONE => self.lists.roots,
            parent => self.of(parent).child,
        };
        while block != NONE {
            let known = self.of(block);
            if known.owner == origin.owner
                && known.adapter == origin.adapter()
                && known.tokens == *tokens
            {
                return Some(block);
            }
            block = known.next;
        }
        None
    }

    /// A block that is referred to holds these tokens behind `parent`, and is known from now on.
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

    /// Takes a block that is not referred to out of the forest.
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

    /// Puts a block at the end of those that are retained.
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

    /// Takes a block out of those that are retained.
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

/// What tests look at.
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
        /// All tokens from the first of a session to the block's last.
        pub(crate) tokens: Vec<u32>,
    }

    impl Blocks<'_> {
        /// Checks that each block is in as many tables as it says, and either in one of the lists or in a table; that the
        /// forest is one; and that no block is retained for longer than the one before it. The known blocks.
        ///
        /// # Panics
        /// Something of that is not so.
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
