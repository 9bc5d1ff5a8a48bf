//! File systems changed by hand.

use super::*;

/// A file system with 16-bit entries that fills an image.
pub(super) struct Fat {
    pub(super) bytes: Vec<u8>,
    sector: usize,
    tables: Vec<usize>,
    pub(super) root: usize,
}

impl Fat {
    pub(super) fn of(image: &Image) -> Self {
        let bytes = std::fs::read(image.path()).unwrap();
        let word = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let (sector, reserved, tables, table) =
            (word(11), word(14), usize::from(bytes[16]), word(22));
        assert!(table > 0, "a table of FAT16");
        let tables: Vec<_> = (0..tables)
            .map(|n| (reserved + n * table) * sector)
            .collect();
        let root = tables[0] + tables.len() * table * sector;
        Self {
            bytes,
            sector,
            tables,
            root,
        }
    }

    /// The position in the root folder of the entry for the file of this size.
    pub(super) fn entry(&self, bytes: u32) -> usize {
        let entries = (self.root..self.root + 512 * 32).step_by(32);
        let mut found = entries.filter(|&at| {
            self.bytes[at] != 0
                && self.bytes[at + 11] != 0x0f
                && self.bytes[at + 28..at + 32] == bytes.to_le_bytes()
        });
        found.next().expect("the file's entry")
    }

    pub(super) fn first_cluster(&self, bytes: u32) -> u16 {
        let at = self.entry(bytes) + 26;
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// Sets the successor of a cluster, in both tables.
    pub(super) fn set_next(&mut self, cluster: u16, next: u16) {
        for table in self.tables.clone() {
            let at = table + 2 * usize::from(cluster);
            self.bytes[at..at + 2].copy_from_slice(&next.to_le_bytes());
        }
    }

    pub(super) fn write(self, image: &Image) {
        assert_eq!(self.sector, 512);
        std::fs::write(image.path(), self.bytes).unwrap();
    }
}

pub(super) fn fat16() -> Image {
    let image = Image::create(&["--size", "32MiB", "--log-size", "2MiB", "--table", "none"]);
    image.add(&[&format!("tales={TINY}"), "second=models/default.gguf"]);
    image
}
