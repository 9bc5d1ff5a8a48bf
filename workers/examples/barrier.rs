//! The cost of a barrier in instructions if nobody waits. A leader calls its workers for one job after another, and
//! each of them finds its gate open at the first look. One thread plays all of them in turn, so a tool that counts
//! instructions sees the same number every time. Arguments: members of the team, jobs.
//!
//! Run `valgrind --tool=callgrind barrier 4 20000`, and subtract the count for 10000 jobs.

use std::convert::Infallible;
use workers::{Desk, Leader, Worker};

/// Words of a job: as many as for a product of three matrices.
const WORDS: u64 = 40;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>());
    let (Some(Ok(members)), Some(Ok(jobs))) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: barrier MEMBERS JOBS");
        std::process::exit(2);
    };
    let members = members as usize;
    let desk = Desk::<8, 96>::default();
    let mut leader = Leader::default();
    let mut workers: Vec<_> = (1..members).map(Worker::new).collect();
    let mut sum = 0;
    for job in 0..jobs {
        let put = |put: &mut dyn FnMut(u64)| (0..WORDS).for_each(|word| put(word ^ job));
        leader.call(&desk, members, put, |_| ());
        for worker in &mut workers {
            let words = worker.next(&desk, 1, || ()).expect("a job");
            sum ^= words.fold(0, |sum, word| sum ^ word);
            worker.done(&desk, 0);
        }
        let Ok(()) = leader.wait(&desk, members, 1, |_| Ok::<_, Infallible>(()), |_| ());
    }
    println!("{members} members, {jobs} jobs: {sum}");
}
