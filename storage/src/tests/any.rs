//! Operations on disks with random damage.

use super::*;

pub(super) fn get_some<B: Blocks>(
    volume: &mut Volume<'_, B>,
    path: &str,
) -> Result<(), StorageError> {
    block_on(async {
        let file = volume.open(path).await?;
        let mut part = [0; 1000];
        let mut at = 0;
        loop {
            let bytes = volume.read(&file, at, &mut part).await;
            match bytes {
                Ok(0) | Err(_) => break,
                Ok(bytes) => at += bytes as u64,
            }
        }
        volume.close(file).await
    })
}

fn filled(table: Table) -> Image {
    let mut image = made(table, 2 * MIB);
    let mut ground = Ground::new();
    let mut volume = block_on(Volume::mount(&mut image, &mut ground)).unwrap();
    block_on(volume.make_folders("models")).unwrap();
    put(&mut volume, "TINY.GGUF", &contents(5000, 1)).unwrap();
    put(&mut volume, "models/deep.gguf", &contents(9000, 2)).unwrap();
    put(&mut volume, "a long name.jsonl", &contents(700, 3)).unwrap();
    image
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 3000 }))]

    /// Mutates the places that hold file system structures: tables, first sectors, folders.
    #[test]
    fn no_image_makes_it_panic_or_go_on_for_ever(
        table in prop::sample::select(vec![Table::None, Table::Mbr, Table::Gpt]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
    ) {
        let mut image = filled(table);
        let used: Vec<usize> = image
            .bytes()
            .chunks(SECTOR)
            .enumerate()
            .filter(|(_, sector)| sector.iter().any(|byte| *byte != 0))
            .flat_map(|(at, _)| at * SECTOR..(at + 1) * SECTOR)
            .collect();
        for (index, byte) in changes {
            let at = used[index.index(used.len())];
            image.bytes_mut()[at] = byte;
        }
        everything(&mut image);
    }
}
