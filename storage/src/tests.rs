mod any;
mod slow;

extern crate std;

use crate::make::{Plan, make};
use crate::*;
use any::get_some;
use core::task::Poll;
use proptest::prelude::*;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

type Image = Memory<Vec<u8>>;

const MIB: usize = 1 << 20;

fn made(table: Table, bytes: usize) -> Image {
    let mut image = Memory::new(vec![0; bytes]);
    let plan = Plan {
        table,
        label: "SEL4-LLM",
        seed: [7; 32],
    };
    block_on(make(&mut image, &plan)).unwrap();
    image
}

/// Contents that differ in every sector.
fn contents(bytes: usize, salt: u8) -> Vec<u8> {
    (0..bytes)
        .map(|at| (at / SECTOR) as u8 ^ (at as u8).wrapping_mul(31) ^ salt)
        .collect()
}

fn put<B: Blocks>(volume: &mut Volume<'_, B>, path: &str, data: &[u8]) -> Result<(), StorageError> {
    block_on(async {
        let mut file = volume.create(path).await?;
        for part in data.chunks(3000) {
            volume.append(&mut file, part).await?;
        }
        volume.close(file).await?;
        volume.sync().await
    })
}

fn get<B: Blocks>(volume: &mut Volume<'_, B>, path: &str) -> Result<Vec<u8>, StorageError> {
    block_on(async {
        let file = volume.open(path).await?;
        let mut data = vec![0; file.bytes() as usize];
        let mut done = 0;
        while done < data.len() {
            let end = data.len().min(done + 1000);
            let bytes = volume
                .read(&file, done as u64, &mut data[done..end])
                .await?;
            assert_ne!(bytes, 0, "the file is shorter than it says");
            done += bytes;
        }
        volume.close(file).await?;
        Ok(data)
    })
}

fn list<B: Blocks>(volume: &mut Volume<'_, B>) -> Vec<Result<(String, ItemKind), StorageError>> {
    let mut walk = Walk::new();
    let mut items = Vec::new();
    loop {
        let next = block_on(walk.next(volume));
        match next {
            Ok(Some(item)) => items.push(Ok((item.path.to_string(), item.kind))),
            Ok(None) => return items,
            Err(error) => items.push(Err(error)),
        }
        assert!(items.len() <= 2 * MAX_ENTRIES, "a list without an end");
    }
}

fn findings(image: &mut Image) -> Vec<String> {
    let mut found = Vec::new();
    let count = block_on(check(image, &mut [0; 4096], |finding, _| {
        found.push(finding.to_string());
    }));
    assert_eq!(count.unwrap(), found.len() as u64);
    found
}

#[test]
fn what_is_written_to_a_new_disk_is_read_back_whatever_its_table_and_width() {
    for (table, bytes, kind) in [
        (Table::None, 4 * MIB, FatKind::Fat12),
        (Table::Mbr, 4 * MIB, FatKind::Fat12),
        (Table::Gpt, 4 * MIB, FatKind::Fat12),
        (Table::Mbr, 64 * MIB, FatKind::Fat16),
        (Table::Gpt, 520 * MIB, FatKind::Fat32),
    ] {
        let mut image = made(table, bytes);
        let mut ground = Ground::new();
        let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
        let info = volume.info();
        assert_eq!((info.found.table, info.kind), (table, kind));
        assert!(info.writable && !info.was_dirty);
        let free = block_on(volume.free_bytes()).unwrap();
        let long = "ä model with a näme of more than 8.3 characters.gguf";
        block_on(volume.make_folders("models/deep")).unwrap();
        put(&mut volume, "TINY.GGUF", &contents(10_000, 1)).unwrap();
        put(
            &mut volume,
            &format!("models/deep/{long}"),
            &contents(70_001, 2),
        )
        .unwrap();
        put(&mut volume, "empty", &[]).unwrap();
        assert_eq!(get(&mut volume, "tiny.gguf").unwrap(), contents(10_000, 1));
        assert_eq!(
            get(&mut volume, &format!("models/deep/{long}")).unwrap(),
            contents(70_001, 2)
        );
        assert_eq!(get(&mut volume, "empty").unwrap(), []);
        let items: Vec<_> = list(&mut volume).into_iter().map(Result::unwrap).collect();
        let file = |path: &str, bytes| (path.to_string(), ItemKind::File { bytes });
        for item in [
            file("TINY.GGUF", 10_000),
            file(&format!("models/deep/{long}"), 70_001),
            file("empty", 0),
        ] {
            assert!(items.contains(&item), "{item:?} in {items:?}");
        }
        assert_eq!(items.len(), 5, "{items:?}");
        let used = free - block_on(volume.free_bytes()).unwrap();
        assert!((80_001..400_000).contains(&used), "{used}");
        assert_eq!(
            put(&mut volume, "tiny.gguf", &[]),
            Err(StorageError::Exists)
        );
        assert_eq!(findings(&mut image), [""; 0]);
    }
}

#[test]
fn a_file_is_replaced_by_its_new_version_at_once() {
    let mut image = made(Table::Mbr, 4 * MIB);
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
    put(&mut volume, "a.gguf", &contents(5000, 1)).unwrap();
    put(&mut volume, "a.new", &contents(600, 2)).unwrap();
    block_on(volume.rename("a.new", "a.gguf")).unwrap();
    assert_eq!(get(&mut volume, "a.gguf").unwrap(), contents(600, 2));
    assert_eq!(get(&mut volume, "a.new"), Err(StorageError::NotFound));
    block_on(volume.remove("A.GGUF")).unwrap();
    assert_eq!(
        block_on(volume.remove("a.gguf")),
        Err(StorageError::NotFound)
    );
    block_on(volume.sync()).unwrap();
    assert_eq!(list(&mut volume), []);
    assert_eq!(findings(&mut image), [""; 0]);
}

#[test]
fn an_extent_says_where_the_sectors_of_a_file_lie() {
    let mut image = made(Table::Gpt, 8 * MIB);
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
    put(&mut volume, "first", &contents(100, 9)).unwrap();
    put(&mut volume, "AUDIT.LOG", &contents(64 * SECTOR, 3)).unwrap();
    let extent = block_on(volume.extent("AUDIT.LOG")).unwrap();
    assert_eq!(extent.sectors, 64);
    // Two files that grow in turn are fragmented.
    block_on(async {
        let mut one = volume.create("one").await.unwrap();
        let mut two = volume.create("two").await.unwrap();
        for _ in 0..8 {
            volume.append(&mut one, &[1; 4 * SECTOR]).await.unwrap();
            volume.append(&mut two, &[2; 4 * SECTOR]).await.unwrap();
        }
        volume.close(one).await.unwrap();
        volume.close(two).await.unwrap();
        volume.sync().await.unwrap();
        assert_eq!(volume.extent("one").await, Err(StorageError::Scattered));
        let uneven = StorageError::Uneven { bytes: 100 };
        assert_eq!(volume.extent("first").await, Err(uneven));
        assert_eq!(volume.extent("none").await, Err(StorageError::NotFound));
    });
    assert_eq!(get(&mut volume, "one").unwrap(), [1; 32 * SECTOR]);
    let mut sectors = vec![0; 64 * SECTOR];
    block_on(blocks::read(&mut image, extent.first, &mut sectors)).unwrap();
    assert_eq!(sectors, contents(64 * SECTOR, 3));
}

#[test]
fn names_that_a_disk_cannot_have_are_refused() {
    let mut image = made(Table::None, 4 * MIB);
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
    let long = "x".repeat(255);
    assert_eq!(check_path(&long), Ok(()));
    put(&mut volume, &long, b"1").unwrap();
    assert_eq!(get(&mut volume, &long).unwrap(), b"1");
    for name in [
        "",
        "/",
        "a/",
        "/a",
        ".",
        "..",
        "a/../b",
        "a:b",
        "a\\b",
        "a\nb",
        "a?",
        "a. ",
        "a.",
        &"x".repeat(256),
        &"x/".repeat(600),
    ] {
        assert_eq!(check_path(name), Err(StorageError::BadName), "{name:?}");
        let refused = put(&mut volume, name, b"");
        let expected = [Err(StorageError::BadName), Err(StorageError::NotFound)];
        assert!(expected.contains(&refused), "{name:?}: {refused:?}");
    }
    assert_eq!(put(&mut volume, "none/a", b""), Err(StorageError::NotFound));
    let within = format!("{long}/a");
    assert_eq!(put(&mut volume, &within, b""), Err(StorageError::IsFile));
    block_on(volume.make_folders("folder")).unwrap();
    assert_eq!(get(&mut volume, "folder"), Err(StorageError::IsFolder));
    assert_eq!(list(&mut volume).len(), 2);
}

#[test]
fn a_full_disk_says_so_and_keeps_what_it_had() {
    let mut image = made(Table::None, 2 * MIB);
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
    put(&mut volume, "there", &contents(9000, 4)).unwrap();
    assert_eq!(
        put(&mut volume, "large", &vec![1; 3 * MIB]),
        Err(StorageError::Full)
    );
    assert_eq!(get(&mut volume, "there").unwrap(), contents(9000, 4));
}

#[test]
fn a_disk_without_a_file_system_is_told_from_a_damaged_one() {
    let found = |image: &mut Image| block_on(find(image));
    let mut none = Memory::new(Vec::new());
    assert_eq!(found(&mut none), Err(StorageError::TooSmall { sectors: 0 }));
    let mut short = Memory::new(vec![1; 511]);
    assert_eq!(
        found(&mut short),
        Err(StorageError::TooSmall { sectors: 0 })
    );
    for fill in [0u8, 0xff, 0x55] {
        let mut image = Memory::new(vec![fill; 64 * SECTOR]);
        assert_eq!(found(&mut image), Err(StorageError::NoFileSystem), "{fill}");
    }
    // A table with an empty partition.
    let mut image = made(Table::Mbr, 4 * MIB);
    image.bytes_mut()[2048 * SECTOR..].fill(0);
    assert_eq!(found(&mut image), Err(StorageError::NoFileSystem));
    // A truncated card image.
    let mut bytes = made(Table::Mbr, 4 * MIB).bytes().to_vec();
    bytes.truncate(3 * MIB);
    let error = found(&mut Memory::new(bytes)).unwrap_err();
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
    // A card with NTFS: its boot sector resembles that of FAT, but has its own name and no tables.
    let mut image = made(Table::None, 4 * MIB);
    image.bytes_mut()[3..11].copy_from_slice(b"NTFS    ");
    image.bytes_mut()[16] = 0;
    assert_eq!(found(&mut image), Err(StorageError::NoFileSystem));
    // If the chain of logical partitions is broken, the primary partitions are still found.
    let mut image = made(Table::Mbr, 4 * MIB);
    let second = 446 + 16;
    // This entry of the chain names itself as the next one.
    for (at, value) in [
        (second + 4, 5),
        (second + 8, 1),
        (second + 12, 9),
        (SECTOR + second + 4, 5),
        (SECTOR + second + 12, 9),
        (SECTOR + 510, 0x55),
        (SECTOR + 511, 0xaa),
    ] {
        image.bytes_mut()[at] = value;
    }
    assert_eq!(found(&mut image).map(|found| found.first), Ok(2048));
    image.bytes_mut()[446..second].fill(0);
    let error = found(&mut image).unwrap_err();
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
    // If the first GUID partition table was overwritten, its backup is used.
    let mut image = made(Table::Gpt, 4 * MIB);
    image.bytes_mut()[SECTOR..10 * SECTOR].fill(0xee);
    assert_eq!(found(&mut image).map(|found| found.table), Ok(Table::Gpt));
}

/// Changes a long name on the disk to one that no tool would write.
fn rename_by_hand(image: &mut Image, from: &str, to: &str) {
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let (from, to) = (wide(from), wide(to));
    let bytes = image.bytes_mut();
    let mut found = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&from));
    let at = found.next().unwrap();
    bytes[at..at + to.len()].copy_from_slice(&to);
}

#[test]
fn names_that_lead_elsewhere_are_not_taken_for_paths() {
    // A directory entry of a long name holds its first five characters next to each other.
    for (name, odd) in [("odd-a long name", "od/-a"), ("-.odd long name", "../od")] {
        let mut image = made(Table::None, 4 * MIB);
        let mut ground = Ground::new();
        let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
        for path in [name, "sound.gguf"] {
            put(&mut volume, path, &contents(600, 1)).unwrap();
        }
        rename_by_hand(&mut image, &name[..5], odd);
        let mut ground = Ground::new();
        let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
        let kinds: Vec<_> = list(&mut volume)
            .into_iter()
            .map(|item| item.unwrap().1)
            .collect();
        let sound = ItemKind::File { bytes: 600 };
        assert_eq!(kinds, [ItemKind::Unreachable, sound], "{odd}");
        assert!(get(&mut volume, odd).is_err(), "{odd}");
    }
}

#[test]
fn tables_that_contradict_each_other_are_told_from_what_is_wrong_with_one_file() {
    let harm = |spoil: &dyn Fn(&mut [u8], &mut [u8])| {
        let mut image = made(Table::None, 4 * MIB);
        let mut ground = Ground::new();
        let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
        put(&mut volume, "a", &contents(20_000, 1)).unwrap();
        let info = volume.info();
        assert_eq!(info.kind, FatKind::Fat12);
        let bytes = image.bytes_mut();
        let (table, sectors) = (usize::from(bytes[14]), usize::from(bytes[22]));
        let (first, second) = bytes[table * SECTOR..].split_at_mut(sectors * SECTOR);
        spoil(first, second);
        let mut worst = Harm::Contained;
        let count = block_on(check(&mut image, &mut [0; 4096], |_, harm| {
            if harm == Harm::WritesSpoil {
                worst = harm;
            }
        }));
        assert_ne!(count, Ok(0));
        worst
    };
    // The file's clusters seem to be free.
    let freed = harm(&|first, _| first[3..9].fill(0));
    assert_eq!(freed, Harm::WritesSpoil);
    // The second copy is older.
    let older = harm(&|_, second| second[3..9].fill(0));
    assert_eq!(older, Harm::Contained);
}

#[test]
fn a_folder_that_holds_itself_is_listed_to_a_limit() {
    let mut image = made(Table::None, 4 * MIB);
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
    block_on(volume.make_folders("a/b")).unwrap();
    block_on(volume.sync()).unwrap();
    // The entry of `b` in `a` points at `a`.
    let bytes = image.bytes_mut();
    let entry = |bytes: &[u8], name: &[u8; 11]| {
        let starts = (0..bytes.len() - 32).step_by(32);
        let mut found =
            starts.filter(|at| bytes[*at..].starts_with(name) && bytes[at + 11] == 0x10);
        found.next().unwrap()
    };
    let (a, b) = (entry(bytes, b"A          "), entry(bytes, b"B          "));
    let cluster = [bytes[a + 26], bytes[a + 27]];
    bytes[b + 26..b + 28].copy_from_slice(&cluster);
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
    let items = list(&mut volume);
    let last = items.last().unwrap().clone().unwrap();
    assert_eq!(items.len(), MAX_DEPTH);
    assert_eq!(last.1, ItemKind::Unreachable);
    assert!(!findings(&mut image).is_empty());
}

/// Runs every operation on a disk, whatever it holds.
fn everything(image: &mut Image) {
    let _ = block_on(check(image, &mut [0; 2048], |finding, _| {
        let _ = finding.to_string();
    }));
    let mut ground = Ground::new();
    let mut volume = match block_on(Volume::mount(&mut *image, &mut ground)) {
        Ok(volume) => volume,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    let _ = block_on(volume.free_bytes());
    for item in list(&mut volume) {
        let Ok((path, ItemKind::File { bytes })) = item else {
            continue;
        };
        if bytes < 1 << 20 {
            let _ = get_some(&mut volume, &path);
        }
        let _ = block_on(volume.extent(&path));
    }
    let _ = put(&mut volume, "models/new.gguf", &[7; 3000]);
    let _ = put(&mut volume, "a new file", &[7; 3000]);
    let _ = block_on(volume.rename("a new file", "TINY.GGUF"));
    let _ = block_on(volume.remove("models/deep.gguf"));
    let _ = block_on(volume.sync());
}
