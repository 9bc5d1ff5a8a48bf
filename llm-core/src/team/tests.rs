//! Jobs as words, and that their parts together are the whole; `workers` has tests with threads.

use super::*;
use crate::arena::Span;
use crate::kv_cache::{KvShape, KvType};
use crate::quantize::TensorType;
use std::vec::Vec;

/// Workers that run one after the other, the last first, each with what it reads from the job's words.
#[derive(Debug)]
pub(crate) struct InTurn(pub(crate) usize);

impl Team for InTurn {
    fn workers(&self) -> usize {
        self.0
    }

    fn least_work(&self) -> u64 {
        0
    }

    fn run(&mut self, work: Work<'_>) -> Result<(), NonFinite> {
        let mut words = Vec::new();
        work.write(&mut |word| words.push(word));
        assert!(words.len() <= MAX_WORDS, "{} words", words.len());
        let (base, len) = work.memory();
        let mut result = Ok(());
        for worker in (0..work.workers()).rev() {
            let mut words = words.iter().copied();
            // SAFETY: base and length are those of the work, which lives, and each part runs once.
            #[allow(unsafe_code)]
            let part = unsafe { run_part(&mut || words.next(), base, len, worker) };
            result = result.and(part.expect("the words of a job"));
            assert_eq!(words.next(), None, "all words are read");
        }
        result
    }
}

/// The words of the largest job there can be.
fn largest() -> Vec<u64> {
    let place = Place {
        session: 31,
        position: u32::MAX,
        first: 7,
        removed: true,
    };
    let job = Job::Attend(Attend {
        shape: KvShape {
            ty: KvType::Q8,
            layers: 1,
            kv_heads: 2,
            head_size: 64,
            context: 100,
            sessions: 32,
            positions: 400,
        },
        layer: 0,
        pool: Span::EMPTY,
        tables: Span::EMPTY,
        places: [place; MAX_PLACES].into_iter().collect(),
        heads: 4,
        parts: 0..4 * MAX_PLACES,
        scale: 0.5,
        cap: Some(30.0),
        query: Span::EMPTY,
        attended: Span::EMPTY,
        workers: 4,
        scores: Span::EMPTY,
        quantized: Span::EMPTY,
        query_scales: Span::EMPTY,
        turned: Span::EMPTY,
        key_bias: Some(LeftOut {
            values: Span::EMPTY,
            angles: Span::EMPTY,
            pairs: 32,
            halves: true,
        }),
    });
    written(&job)
}

fn written(job: &Job) -> Vec<u64> {
    let mut words = Vec::new();
    job.put(&mut Writer(&mut |word| words.push(word)));
    words
}

fn read(words: &[u64]) -> Option<Job> {
    let mut words = words.iter().copied();
    Job::get(&mut Reader(&mut || words.next()))
}

#[test]
fn the_largest_job_fits_its_words_and_is_read_as_it_was_written() {
    let words = largest();
    // Before a job come the CPU, the number of workers, and the mark.
    assert!(words.len() + 3 <= MAX_WORDS, "{} words", words.len());
    let again = read(&words).expect("a job");
    assert_eq!(written(&again), words);
    let Job::Attend(job) = again else {
        panic!("another kind");
    };
    let place = job.places.last().expect("places");
    assert_eq!((place.position, place.first), (u32::MAX, 7));
    assert!(place.removed && job.cap == Some(30.0));
}

#[test]
fn a_product_is_read_as_it_was_written() {
    let product = |ty, rows| Product {
        ty,
        rows,
        tiled: true,
        data: Span::at(640, 100).unwrap(),
        bias: Span::EMPTY,
        to: Span::at(64, rows).unwrap(),
    };
    let job = Job::Multiply(Multiply {
        tokens: 3,
        columns: 256,
        from: Span::at(128, 768).unwrap(),
        quantised: Span::EMPTY,
        products: [product(TensorType::Q4K, 17), product(TensorType::TQ2_0, 5)]
            .into_iter()
            .collect(),
        tiles: 1..3,
    });
    let words = written(&job);
    assert_eq!(written(&read(&words).expect("a job")), words);
}

#[test]
fn words_that_are_no_job_are_refused() {
    let words = largest();
    for len in 0..words.len() {
        assert!(read(&words[..len]).is_none(), "{len} of its words");
    }
    for kind in [0, 9, u64::MAX] {
        let mut words = words.clone();
        words[0] = kind;
        assert!(read(&words).is_none(), "kind {kind}");
    }
    // More places than a job can have.
    let at = words.iter().position(|word| *word == MAX_PLACES as u64);
    let mut words = words;
    words[at.expect("their number")] += 1;
    assert!(read(&words).is_none());
}

#[test]
fn a_worker_without_a_part_and_a_cpu_that_is_not_there_are_refused() {
    let run = |words: &[u64], worker| {
        let mut memory = crate::testing::Memory::new(4096);
        let bytes = memory.bytes();
        let mut words = words.iter().copied();
        let base = NonNull::from(&mut *bytes).cast();
        // SAFETY: the memory is borrowed for the call, and no part of this job runs beside it.
        #[allow(unsafe_code)]
        unsafe {
            run_part(&mut || words.next(), base, bytes.len(), worker)
        }
    };
    let activate = written(&Job::Activate(Activate {
        gelu: false,
        gate: Span::EMPTY,
        up: Span::at(1024, 40).unwrap(),
    }));
    let job = |cpu: u64, workers: u64, fixed: u64| -> Vec<u64> {
        [cpu, workers, fixed]
            .into_iter()
            .chain(activate.clone())
            .collect()
    };
    assert_eq!(run(&job(0, 2, 512), 1), Ok(Ok(())));
    assert_eq!(run(&job(0, 2, 512), 2), Err(BadJob), "worker 2 of 2");
    assert_eq!(run(&job(0, 65, 512), 1), Err(BadJob), "too many workers");
    assert_eq!(run(&job(0, 2, 4097), 1), Err(BadJob), "the mark is outside");
    assert_eq!(run(&job(99, 2, 512), 1), Err(BadJob), "an unknown CPU");
}
