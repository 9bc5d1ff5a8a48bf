//! Messages between a client and audit.

mod samples;

pub(super) use samples::{events, requests};

use super::{Frame, WireError};
use crate::attest::Attestation;
use crate::error::{ErrorCode, Failure};
use crate::limits::{MAX_PROMPT_BYTES, MAX_REFUSAL_REASONS};
use crate::name::{FormatName, ModelName, Nonce, SessionName, UserName};
use crate::record::{Kind, Record};
use crate::testing::{completion, parts};
use crate::wire::client::{
    AdapterEntry, AdapterOrigin, Budget, BudgetChange, Event, Exported, Finished, FormatEntry,
    LogExtent, LogQuery, ModelEntry, Progress, Refusals, Request, SessionEntry, SessionState,
    Signature, Stage, Stats, Status, Training, Tuned, User,
};
use crate::wire::{
    AdapterInfo, Fault, FaultKind, FinishReason, InferParams, ModelInfo, PartKind, TrainParams,
    TrainProgress, engine,
};

extern crate std;
use std::vec::Vec;

#[test]
fn every_request_is_parsed_as_it_was_written() {
    for request in requests() {
        let mut frame: Frame = Frame::new();
        request.write(7, &mut frame);
        assert_eq!(frame.header().request, 7);
        assert_eq!(Request::parse(&frame), Ok(request));
        assert!(matches!(Event::parse(&frame), Err(WireError::Kind(_))));
        let command = engine::Command::parse(&frame);
        assert!(matches!(command, Err(WireError::Kind(_))));
    }
}

#[test]
fn every_event_is_parsed_as_it_was_written() {
    for event in events() {
        let mut frame: Frame = Frame::new();
        event.write(7, &mut frame);
        assert_eq!(frame.header().request, 7);
        assert_eq!(Event::parse(&frame), Ok(event));
        assert!(matches!(Request::parse(&frame), Err(WireError::Kind(_))));
        let report = engine::Report::parse(&frame);
        assert!(matches!(report, Err(WireError::Kind(_))));
    }
}

/// `frame` with one byte of its payload changed.
fn with(frame: &Frame, at: usize, byte: u8) -> Frame {
    let mut changed = frame.clone();
    let header = frame.header();
    changed.begin(header.kind, header.request)[at] = byte;
    changed.finish(header.len);
    changed
}

#[test]
fn a_login_that_contradicts_itself_is_none() {
    let user = UserName::new("admin").unwrap();
    let login = |passphrase| {
        let mut frame: Frame = Frame::new();
        Request::Login { user, passphrase }.write(1, &mut frame);
        frame
    };
    let flag = size_of::<UserName>();
    // An absent passphrase, and invalid flags.
    for (at, byte) in [(flag, 0), (flag, 2), (flag, 0xFF), (flag + 3, 1)] {
        let frame = with(&login(Some(b"x")), at, byte);
        assert_eq!(Request::parse(&frame), Err(WireError::Field(7)));
    }
    // Present, but empty.
    let frame = with(&login(None), flag, 1);
    let passphrase = Some(&b""[..]);
    assert_eq!(
        Request::parse(&frame),
        Ok(Request::Login { user, passphrase })
    );
}

#[test]
fn a_change_that_contradicts_itself_is_none() {
    let user = UserName::new("admin").unwrap();
    let change = BudgetChange {
        tokens: Some(1),
        period_us: None,
    };
    let mut frame: Frame = Frame::new();
    Request::Budget { user, change }.write(1, &mut frame);
    let tokens = size_of::<UserName>();
    let period_us = tokens + 12;
    // Each field has an 8-byte value followed by its flag.
    for (at, byte) in [
        (tokens + 8, 0),
        (tokens + 8, 2),
        (tokens + 11, 1),
        (period_us, 1),
        (period_us + 8, 7),
    ] {
        let frame = with(&frame, at, byte);
        assert_eq!(Request::parse(&frame), Err(WireError::Field(11)));
    }
}

#[test]
fn the_most_frequent_reasons_come_first_and_the_rest_is_in_the_total() {
    let mut counts = [0; ErrorCode::END];
    assert_eq!(
        Refusals::most_frequent(&counts),
        [Refusals::default(); MAX_REFUSAL_REASONS]
    );
    counts[ErrorCode::NoModel as usize] = 5;
    counts[ErrorCode::Busy as usize] = 5;
    counts[ErrorCode::LogShare as usize] = 6;
    let few = Refusals::most_frequent(&counts).map(|reason| (reason.code, reason.count));
    assert_eq!(few[0], (Some(ErrorCode::LogShare), 6));
    assert_eq!(few[1], (Some(ErrorCode::Busy), 5));
    assert_eq!(few[2], (Some(ErrorCode::NoModel), 5));
    assert_eq!(few[3..], [(None, 0); MAX_REFUSAL_REASONS - 3]);

    for code in ErrorCode::ALL {
        counts[*code as usize] = *code as u32;
    }
    let refusals = Refusals::most_frequent(&counts);
    let last = ErrorCode::ALL.iter().rev();
    assert!(
        refusals
            .iter()
            .map(|reason| reason.code)
            .eq(last.take(8).copied().map(Some))
    );
    let stats = Stats {
        refused: counts.iter().copied().map(u64::from).sum(),
        refusals,
        ..Stats::default()
    };
    let newest = ErrorCode::ALL[ErrorCode::ALL.len() - 1];
    assert_eq!(u64::from(stats.refused_for(newest)), newest as u64);
    assert_eq!(stats.refused_for(ErrorCode::Busy), 0);
    let listed: u64 = ErrorCode::ALL
        .iter()
        .rev()
        .take(8)
        .map(|code| *code as u64)
        .sum();
    assert_eq!(stats.refused_otherwise(), stats.refused - listed);
    // The sender of counters may send any values.
    let stats = Stats {
        refused: 1,
        ..stats
    };
    assert_eq!(stats.refused_otherwise(), 0);
}

#[test]
fn what_is_left_of_a_budget_is_never_below_zero() {
    let budget = Budget {
        tokens: 10,
        used: 4,
        reserved: 3,
        ..Budget::default()
    };
    assert_eq!(budget.available(), 3);
    let used = 11;
    assert_eq!(Budget { used, ..budget }.available(), 0);
    assert!(BudgetChange::NONE.is_none());
    let tokens = Some(0);
    assert!(
        !BudgetChange {
            tokens,
            ..BudgetChange::NONE
        }
        .is_none()
    );
}
