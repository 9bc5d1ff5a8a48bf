//! Steps that the tests of fine-tuning share.

use super::*;

/// The most tokens that three epochs of it can have.
pub(super) const BOUND: u64 = 3 * (16 + 3 * 3);

pub(crate) fn tune(data: &str, adapter: &str) -> Request<'static> {
    Request::FineTune {
        params: TrainParams::default(),
        data: model(data),
        adapter: ModelName::new(adapter).unwrap(),
    }
}

pub(super) fn progress(step: u32, tokens: u64) -> TrainProgress {
    TrainProgress {
        step,
        steps: 9,
        tokens,
        loss: 2_000_000,
        longest: 6,
        alone: false,
    }
}

/// An adapter's file, of three parts.
pub(crate) fn file() -> Vec<u8> {
    let bytes = 0..(2 * MAX_PART_BYTES + 1003) as u32;
    bytes.map(|n| (n * 7 % 253) as u8).collect()
}

pub(super) fn trained(tokens: u64, bytes: usize) -> Trained {
    Trained {
        tokens,
        bytes: bytes as u64,
        steps: 9,
        loss: 1_000_000,
    }
}

pub(super) fn stopped(tokens: u64) -> Report<'static> {
    Report::Trained(Trained {
        steps: 2,
        ..trained(tokens, 0)
    })
}

impl<F: FilesEnd<TestRegion, TestRegion>> System<F> {
    /// Asks for a fine-tuning on `tales` and proceeds until inference is asked to train.
    pub(super) fn tunes(&mut self, id: u32, adapter: &str) -> Train {
        self.ask(id, &tune("tales", adapter));
        self.trains()
    }

    pub(crate) fn trains(&mut self) -> Train {
        let told = self.told_at_last();
        assert!(
            told.iter().all(|told| matches!(told, Told::Progress(..))),
            "{told:?}"
        );
        let asked = self.asked();
        match &asked[..] {
            [Asked::Train(train)] => (**train).clone(),
            other => panic!("a training, not {other:?}"),
        }
    }

    pub(super) fn at(&mut self, number: u32, progress: TrainProgress) {
        self.say(number, &Report::Training(progress));
    }

    pub(super) fn sends(&mut self, number: u32, file: &[u8]) {
        for (n, bytes) in file.chunks(MAX_PART_BYTES).enumerate() {
            let offset = (n * MAX_PART_BYTES) as u64;
            self.say(number, &Report::Part { offset, bytes });
        }
    }

    /// Trains to the end and proceeds until inference is asked to load the adapter. Returns its place.
    pub(crate) fn makes(&mut self, number: u32, file: &[u8]) -> u32 {
        self.at(number, progress(0, 0));
        self.sends(number, file);
        self.say(number, &Report::Trained(trained(60, file.len())));
        while self
            .runtime
            .timer
            .is_some_and(|at| at <= self.runtime.now + 2000)
        {
            self.runtime.now = self.runtime.timer.unwrap();
            self.audit.on_timer(&mut self.runtime);
        }
        match self.asked()[..] {
            [
                Asked::Adapter {
                    number: of,
                    place,
                    source: Source::Device,
                    bytes,
                    ..
                },
            ] if of == number => {
                assert_eq!(bytes, file.len() as u64);
                place
            }
            ref other => panic!("a load, not {other:?}"),
        }
    }

    /// Makes an adapter and loads it.
    pub(super) fn tunes_to_the_end(&mut self, id: u32, adapter: &str, file: &[u8]) -> Tuned {
        let number = self.tunes(id, adapter).number;
        self.makes(number, file);
        self.say(number, &Report::AdapterLoaded(adapter_loaded()));
        match self.told_at_last().pop() {
            Some(Told::Tuned(of, tuned)) if of == id => tuned,
            other => panic!("an adapter, not {other:?}"),
        }
    }

    /// The last event of a request, besides its progress.
    pub(super) fn end_of(&mut self) -> Vec<Told> {
        let mut told = self.told_at_last();
        told.retain(|told| !matches!(told, Told::Training(..)));
        told
    }

    /// Reads an exported adapter to its end.
    pub(super) fn exports(&mut self, id: u32, name: &str) -> (Vec<u8>, Exported) {
        self.ask(id, &Request::ExportAdapter { name: model(name) });
        let mut file = Vec::new();
        loop {
            for told in self.told() {
                match told {
                    Told::Part(of, offset, bytes) => {
                        assert_eq!((of, offset), (id, file.len() as u64));
                        file.extend(bytes);
                    }
                    Told::Exported(of, exported) if of == id => return (file, exported),
                    other => panic!("an export, not {other:?}"),
                }
            }
            self.runtime.now = self.runtime.timer.unwrap_or(0).max(self.runtime.now);
            self.wake();
        }
    }
}
