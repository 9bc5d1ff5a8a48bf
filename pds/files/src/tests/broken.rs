//! Disks that are broken or silent.

use super::fake_disk::Mode;
use super::*;

#[test]
fn what_is_wrong_with_a_disk_is_told_and_the_next_one_is_mounted() {
    let mut bench = Bench::new(Memory::new(vec![0; 64 * SECTOR]), Mode::Honest);
    let mount = |bench: &mut Bench| bench.ask(&Ask::Mount);
    assert_eq!(bench.ask(&Ask::List), Told::Failed(FilesError::NotOpen, 0));
    assert_eq!(bench.ask(&Ask::Close), Told::Done);
    assert_eq!(mount(&mut bench), Told::Failed(FilesError::NoFileSystem, 0));
    bench.disk.image = Memory::new(Vec::new());
    assert_eq!(mount(&mut bench), Told::Failed(FilesError::NoFileSystem, 0));
    bench.disk.mode = Mode::NoDevice;
    assert_eq!(mount(&mut bench), Told::Failed(FilesError::NoDisk, 0));
    bench.disk.image = image();
    for lie in 0..4 {
        bench.disk.mode = Mode::Lying(lie);
        let failed = mount(&mut bench);
        assert!(matches!(failed, Told::Failed(..)), "{lie}: {failed:?}");
    }
    bench.disk.mode = Mode::Broken(2048);
    assert_eq!(mount(&mut bench), Told::Failed(FilesError::Device, 2048));
    bench.disk.mode = Mode::Honest;
    bench.mount();
    for path in [&b"none"[..], b"none/a"] {
        let none = bench.ask(&Ask::Open { path });
        assert_eq!(none, Told::Failed(FilesError::NotFound, 0));
    }
    let folder = bench.ask(&Ask::Open { path: b"adapters" });
    assert_eq!(folder, Told::Failed(FilesError::WrongKind, 0));
    assert_eq!(
        bench.ask(&Ask::Open { path: b"tiny.gguf" }),
        Told::Opened(20_000)
    );
    bench.disk.mode = Mode::Broken(2048);
    let failed = bench.ask(&Ask::Read {
        offset: 0,
        bytes: 512,
    });
    assert!(
        matches!(failed, Told::Failed(FilesError::Device, _)),
        "{failed:?}"
    );
    // Reading works again as soon as the disk does.
    bench.disk.mode = Mode::Honest;
    let read = bench.ask(&Ask::Read {
        offset: 0,
        bytes: 3,
    });
    assert_eq!(read, Told::Part(0, vec![0; 3]));
}

#[test]
fn a_disk_that_does_not_answer_makes_files_silent_and_no_more() {
    let mut bench = Bench::new(image(), Mode::Silent);
    bench.send(&Ask::Mount);
    assert_eq!(bench.hear(), None);
    bench.disk.mode = Mode::Honest;
    assert!(matches!(bench.hear(), Some((1, Told::Mounted(_)))));
}
