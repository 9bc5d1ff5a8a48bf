//! Impossible reports about a training.

use super::system::{BOUND, file, progress, trained};
use super::*;

#[test]
fn inference_is_believed_nothing_of_a_training_that_cannot_be() {
    let training = |step, tokens| Report::Training(progress(step, tokens));
    let begun = training(0, 0);
    let other = |change: fn(&mut TrainProgress)| {
        let mut progress = progress(1, 1);
        change(&mut progress);
        Report::Training(progress)
    };
    let part = |offset, bytes| Report::Part { offset, bytes };
    let (whole, odd) = (&[1; 16][..], &[1; 9][..]);
    let over = |tokens, bytes| Report::Trained(trained(tokens, bytes));
    // The plan comes first, and does not change.
    says(&[begun, training(9, BOUND)], false);
    says(&[training(1, 0)], true);
    says(&[training(0, 1)], true);
    says(&[begun, training(10, 1)], true);
    says(&[begun, training(1, BOUND + 1)], true);
    says(&[begun, training(2, 5), training(1, 5)], true);
    says(&[begun, training(2, 5), training(2, 4)], true);
    says(&[begun, other(|it| it.steps = 8)], true);
    says(&[begun, other(|it| it.longest = 7)], true);
    says(&[begun, other(|it| it.alone = true)], true);
    let endless = TrainProgress {
        steps: 10,
        ..progress(0, 0)
    };
    says(&[Report::Training(endless)], true);
    // Parts arrive in order, after the plan.
    says(&[begun, part(0, whole), part(16, odd)], false);
    says(&[part(0, whole)], true);
    says(&[begun, part(0, b"")], true);
    says(&[begun, part(8, whole)], true);
    says(&[begun, part(0, whole), part(0, whole)], true);
    says(&[begun, part(0, whole), part(24, whole)], true);
    says(&[begun, part(0, odd), part(9, whole)], true);
    says(&[begun, part(0, whole), training(1, 1)], true);
    // The end agrees with the parts.
    says(&[begun, part(0, whole), over(60, 16)], false);
    says(&[over(60, 0)], true);
    says(&[begun, over(60, 0)], true);
    says(&[begun, over(60, 16)], true);
    says(&[begun, part(0, whole), over(60, 17)], true);
    says(&[begun, part(0, whole), over(60, 0)], true);
    says(&[begun, part(0, whole), over(BOUND + 1, 16)], true);
    says(&[begun, training(1, 5), part(0, whole), over(4, 16)], true);
    // Only a training may get these reports.
    says(&[begun, Report::Token { id: 1, text: b"a" }], true);
    says(&[Report::AdapterLoaded(adapter_loaded())], true);
    says(&[Report::Loaded(loaded())], true);
    says(
        &[Report::Failed {
            failure: Failure::of(ErrorCode::Cancelled),
            detail: b"",
        }],
        true,
    );
}

#[test]
fn no_more_is_written_than_there_is_room_for() {
    let mut system = System::with_adapters();
    let Train { number, room, .. } = system.tunes(5, "a");
    system.at(number, progress(0, 0));
    let part = [3; MAX_PART_BYTES];
    let parts = room as usize / MAX_PART_BYTES;
    assert_eq!(room as usize % MAX_PART_BYTES, 0);
    for n in 0..parts {
        let offset = (n * MAX_PART_BYTES) as u64;
        system.say(
            number,
            &Report::Part {
                offset,
                bytes: &part,
            },
        );
    }
    assert_eq!(system.runtime.restarts, 0);
    system.say(
        number,
        &Report::Part {
            offset: room,
            bytes: &[1],
        },
    );
    assert_eq!(system.runtime.restarts, 1);
}

#[test]
fn parts_after_the_end_are_a_breach_while_it_is_signed_and_dropped_when_it_is_over() {
    let mut system = System::with_adapters();
    let number = system.tunes(5, "a").number;
    system.makes(number, &file());
    let late = Report::Part {
        offset: 0,
        bytes: &[9; 8],
    };
    system.say(number, &late);
    assert_eq!(system.runtime.restarts, 1);
    let mut system = System::with_adapters();
    let tuned = system.tunes_to_the_end(5, "a", &file());
    let violations = system.stats().violations;
    let number = system.last_record(Kind::Tuned).request;
    system.say(number, &late);
    assert_eq!(system.runtime.restarts, 0);
    assert_eq!(system.stats().violations, violations + 1);
    let (exported, _) = system.exports(6, "a");
    assert_eq!(Hash::from(Sha256::digest(&exported)), tuned.sha256);
}
