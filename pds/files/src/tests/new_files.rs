//! Writing files, and the names they take.

use super::fake_disk::Mode;
use super::*;

#[test]
fn a_new_file_takes_its_name_when_it_is_finished_and_not_before() {
    let mut bench = Bench::new(image(), Mode::Honest);
    bench.mount();
    let path = b"adapters/moral.gguf";
    assert_eq!(bench.ask(&Ask::Create { path }), Told::Done);
    assert_eq!(
        bench.ask(&Ask::Append {
            offset: 0,
            bytes: &[1; 5000]
        }),
        Told::Done
    );
    let wrong = bench.ask(&Ask::Append {
        offset: 4999,
        bytes: &[1],
    });
    assert_eq!(wrong, Told::Failed(FilesError::Range, 5000));
    assert_eq!(bench.ask(&Ask::Open { path }), Told::Opened(700));
    assert_eq!(bench.ask(&Ask::Close), Told::Done);
    assert_eq!(
        bench.ask(&Ask::Append {
            offset: 5000,
            bytes: &[2; 100]
        }),
        Told::Done
    );
    assert_eq!(bench.ask(&Ask::Finish), Told::Done);
    assert_eq!(bench.ask(&Ask::Open { path }), Told::Opened(5100));
    let read = bench.ask(&Ask::Read {
        offset: 4999,
        bytes: 2,
    });
    assert_eq!(read, Told::Part(4999, vec![1, 2]));
    assert_eq!(
        bench.ask(&Ask::Finish),
        Told::Failed(FilesError::NotOpen, 0)
    );
    // A file that was begun and not finished is discarded by the next mount, and by the next file.
    assert_eq!(bench.ask(&Ask::Create { path: b"new/one" }), Told::Done);
    bench.mount();
    assert_eq!(
        bench.ask(&Ask::Finish),
        Told::Failed(FilesError::NotOpen, 0)
    );
    assert_eq!(bench.ask(&Ask::Create { path: b"two" }), Told::Done);
    assert_eq!(bench.ask(&Ask::Finish), Told::Done);
    assert_eq!(bench.list().len(), 5);
    for path in [
        &b"AUDIT.LOG"[..],
        b"audit.log",
        b"../x",
        b"a\xff",
        b"",
        b"tiny.gguf/x",
    ] {
        let failed = bench.ask(&Ask::Create { path });
        assert!(matches!(failed, Told::Failed(..)), "{path:?}");
    }
    bench.check();
}

#[test]
fn of_a_file_that_the_disk_has_no_room_for_nothing_is_left() {
    let mut bench = Bench::new(almost_full(), Mode::Honest);
    let free = bench.mount().free;
    let path = b"adapters/large.gguf";
    assert_eq!(bench.ask(&Ask::Create { path }), Told::Done);
    let offset = bench.fill(free);
    // The file was discarded, so there is nothing to append to or to finish.
    for ask in [
        Ask::Append {
            offset,
            bytes: b"x",
        },
        Ask::Finish,
    ] {
        assert_eq!(bench.ask(&ask), Told::Failed(FilesError::NotOpen, 0));
    }
    assert_eq!(bench.list().len(), 5);
    bench.check();
    assert_eq!(bench.mount().free, free);
}

#[test]
fn a_signature_goes_with_its_file_if_that_cannot_be_finished() {
    let mut bench = Bench::new(almost_full(), Mode::Honest);
    let free = bench.mount().free;
    let before = bench.list();
    // The first is abandoned when the second is created; the second is too large.
    for name in ["adapters/left", "adapters/large"] {
        bench.write(&std::format!("{name}.sig"), &[9; 64]);
        let path = name.as_bytes();
        assert_eq!(bench.ask(&Ask::Create { path }), Told::Done);
    }
    bench.fill(free);
    assert_eq!(bench.list(), before);
    bench.check();
    assert_eq!(bench.mount().free, free);
    // A file that already exists keeps its signature.
    bench.write("adapters/small.sig", &[9; 64]);
    bench.write("adapters/small", &[1; 100]);
    let path = b"adapters/small";
    assert_eq!(bench.ask(&Ask::Create { path }), Told::Done);
    bench.fill(free);
    let path = b"adapters/small.sig";
    assert_eq!(bench.ask(&Ask::Open { path }), Told::Opened(64));
    assert_eq!(bench.ask(&Ask::Close), Told::Done);
    bench.check();
}

/// A disk with room for some 40 kB.
fn almost_full() -> Image {
    let mut almost_full = image();
    block_on(async {
        let mut ground = Ground::new();
        let mut volume = Volume::mount(&mut almost_full, &mut ground).await?;
        let left = 40_000;
        let filler = vec![7; volume.free_bytes().await? as usize - left];
        let mut file = volume.create("filler").await?;
        volume.append(&mut file, &filler).await?;
        volume.close(file).await?;
        volume.sync().await
    })
    .unwrap();
    almost_full
}
